"""Show a live display on standard error where that is a terminal."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from rich.console import Console


class Display(Protocol):
    """A display of rich, such as `Live` or `Progress`."""

    def start(self) -> None:
        """Begin to show it."""

    def stop(self) -> None:
        """Leave its last state on the screen."""


D = TypeVar("D", bound=Display)


class TerminalDisplay(Generic[D]):
    """A context manager that shows a display of rich in a terminal, and nothing elsewhere.

    Args:
        make: returns the display for a console.

    Attributes:
        live: the display; None where standard error is no terminal.
    """

    def __init__(self, make: Callable[[Console], D]) -> None:
        console = Console(file=sys.stderr)
        self.live: D | None = make(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()
