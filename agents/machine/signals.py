"""Stop a training cleanly: the first SIGINT or SIGTERM waits for the end of the rollout, the second stops at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_NOTICE = "stopping at the end of this rollout; a second signal stops at once\n"


class Interrupted(KeyboardInterrupt):
    """A signal that ends the process at once.

    Attributes:
        number: Number of the signal.
        advice: Command that continues the run; empty if there is nothing to continue.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.advice = number, ""

    def __str__(self) -> str:
        return "interrupted" + (f"; {self.advice}" if self.advice else "")


class Stopped(Exception):  # noqa: N818 (not an error: a signal requested the stop)
    """A signal stopped the training between two rollouts."""


class Stopper:
    """Context manager that handles SIGINT and SIGTERM; in the main thread only, a limit of Python.

    Attributes:
        signal_number: Number of the signal that requested a stop; 0 before one arrives.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._deferring = False
        self._old_handlers: dict[int, Any] = {}

    def __enter__(self) -> "Stopper":
        if threading.current_thread() is threading.main_thread():
            # signals that a parent such as nohup has set to be ignored stay ignored
            handled = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
            self._old_handlers = {number: signal.signal(number, self._receive) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Record the first signal in `signal_number` instead of raising; outside, every signal raises `Interrupted`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _receive(self, number: int, _: FrameType | None) -> None:
        if not self._deferring or self.signal_number:
            raise Interrupted(number)
        self.signal_number = number
        os.write(2, STOP_NOTICE.encode())  # print is not reentrant: the signal may interrupt another print
