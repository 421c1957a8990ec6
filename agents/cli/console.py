"""Run a program of commands: clear errors without a traceback, and exit codes (2: wrong input, 128 + n: signal n)."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from agents.machine.signals import Interrupted
from token_env.errors import SettingError

WRONG_INPUT, INTERRUPTED = 2, 130
BY_SIGNAL = 128  # plus its number: the exit code of a command that a signal ended

P = ParamSpec("P")
R = TypeVar("R")


def make_app(**options: Any) -> typer.Typer:
    """A program to which commands can be added."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True, **options
    )


def run_command(command: Callable[..., Any]) -> None:
    """Run a function as the program's only command; its parameters are the command line."""
    app = make_app()
    app.command()(guarded(command))
    app()


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """The command, with settings that cannot be used and Ctrl-C turned into a message and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettingError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(WRONG_INPUT) from None
        except Interrupted as stop:
            print(stop, file=sys.stderr)
            raise typer.Exit(BY_SIGNAL + stop.number) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return run


def stdout_console() -> Console:
    """Where tables go: as wide as the terminal, or 120 columns where there is none."""
    console = Console(markup=False)  # names of runs and files may look like it
    return console if console.is_terminal else Console(width=120, markup=False)
