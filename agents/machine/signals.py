"""Stop a run in good order: the first SIGINT or SIGTERM waits for the end of the rollout, the second one does not."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASKED = "stopping at the end of this rollout; the same again stops at once\n"


class Interrupted(KeyboardInterrupt):
    """A signal that ends the run at once.

    Attributes:
        number: of the signal.
        advice: what to type to go on; empty where there is nothing to go on with.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.advice = number, ""

    def __str__(self) -> str:
        return "interrupted" + (f"; {self.advice}" if self.advice else "")


class Stopped(Exception):  # noqa: N818 (no error: a training that was asked to stop has stopped)
    """A training has stopped between two rollouts, as a signal asked."""


class Stopper:
    """Receives the signals of a process while it is used as a context; only in the main thread, as Python has it.

    Attributes:
        asked: the number of the signal that asked a training to stop; 0: none did.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._deferring = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stopper":
        if threading.current_thread() is threading.main_thread():
            # a signal that is ignored, as by a harness or nohup, stays ignored
            heard = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
            self._before = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Let the first signal wait until somebody looks at `asked`; outside, every signal raises `Interrupted`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _receive(self, number: int, _: FrameType | None) -> None:
        if not self._deferring or self.asked:
            raise Interrupted(number)
        self.asked = number
        os.write(2, ASKED.encode())  # print could meet itself half-way
