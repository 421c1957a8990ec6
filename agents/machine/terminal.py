"""Show a live display on standard error if it is a terminal."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from rich.console import Console


class Display(Protocol):
    """Interface of rich's displays, such as `Live` and `Progress`."""

    def start(self) -> None:
        """Start the display."""

    def stop(self) -> None:
        """Stop updating the display; its last frame stays on the screen."""


D = TypeVar("D", bound=Display)


class TerminalDisplay(Generic[D]):
    """Context manager that shows one of rich's displays in a terminal, and nothing elsewhere.

    Args:
        make: Function that builds the display for a console.

    Attributes:
        live: The display; None if standard error is not a terminal.
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
