"""Run a command: clear errors without a traceback, exit code 2 for wrong input and 130 for Ctrl-C."""

import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from token_env.errors import SettingError

WRONG_INPUT, INTERRUPTED = 2, 130


def run_command(command: Callable[..., Any]) -> None:
    """Run a function as the program's only command; its parameters are the command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(command)
    try:
        app(standalone_mode=False)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def stdout_console() -> Console:
    """Where tables go: as wide as the terminal, or 120 columns where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=120)
