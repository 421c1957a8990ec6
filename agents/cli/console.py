"""Run commands: print errors without a traceback and set exit codes (2: wrong input, 128 + n: signal n)."""

import io
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from agents.machine.signals import Interrupted
from token_env.errors import SettingError

WRONG_INPUT, INTERRUPTED = 2, 130  # exit codes
SIGNAL_EXIT_OFFSET = 128  # plus the number of a signal: exit code of a command ended by it

P = ParamSpec("P")
R = TypeVar("R")


def make_app(**options: Any) -> typer.Typer:
    """Create a command-line program without commands."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True, **options
    )


def command_app(command: Callable[..., Any]) -> typer.Typer:
    """Create a program whose only command is this function; its parameters become arguments and options."""
    app = make_app()
    app.command()(handle_errors(command))
    return app


def run_command(command: Callable[..., Any]) -> None:
    """Run a function as the program's only command."""
    escape_what_cannot_be_encoded()
    command_app(command)()


def escape_what_cannot_be_encoded() -> None:
    """Escape what standard output and error cannot encode, such as names that are not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def handle_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that invalid settings, signals and Ctrl-C end it with a message and an exit code."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        escape_what_cannot_be_encoded()
        try:
            return command(*args, **kwargs)
        except SettingError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(WRONG_INPUT) from None
        except Interrupted as interruption:
            print(interruption, file=sys.stderr)
            raise typer.Exit(SIGNAL_EXIT_OFFSET + interruption.number) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return wrapper


def stdout_console() -> Console:
    """Return a console for tables: as wide as the terminal, or 120 columns if the output is not a terminal."""
    console = Console(markup=False)  # names of runs and files may contain brackets
    return console if console.is_terminal else Console(width=120, markup=False)
