"""Commands as processes of their own, which Ctrl-C reaches wherever the tests were started, and which always end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SECONDS = 300.0  # after which a process hangs, even on a machine with ten times as much to do

Process = subprocess.Popen[str]


def python(module: str, *words: str) -> list[str]:
    """The words of `python -m module`."""
    return [sys.executable, "-m", module, *words]


@contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[Process]:
    """A command at work, which is killed at the latest when it is left.

    A shell starts what is in its background with SIGINT ignored. A process passes that on to those that it starts, but
    not a handler, in whose place they have the default.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            words, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def errors_of(process: Process) -> str:
    """What a process has written to standard error when it has ended."""
    return process.communicate(timeout=SECONDS)[1]


def run(words: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that has ended."""
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, **options)


def wait_until(condition: Callable[[], Any], process: Process | None = None, seconds: float = SECONDS) -> None:
    """Wait until this is true; a process that has to make it so must not end before."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


def cell_with_its_process(trainer: Any, vocab_size: int, repeats: int) -> tuple[float, float, float]:
    """Figures of a trainer that tell what was asked for and which process answers; to import this takes no time."""
    return float(vocab_size * repeats), 0.5, float(os.getpid())
