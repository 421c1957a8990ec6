"""Commands as processes of their own, which Ctrl-C reaches wherever the tests were started, and which always end."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SECONDS = 300.0  # after which a process hangs, even on a machine with ten times as much to do


class Forked:
    """A command in a process forked from the fork server, with as much of `subprocess.Popen` as the tests need."""

    def __init__(self, process: BaseProcess, errors: Path) -> None:
        assert process.pid
        self.pid, self._process, self._errors = process.pid, process, errors

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int | None:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "it hangs"
        return self._process.exitcode

    def communicate(self, timeout: float = 0.0) -> tuple[None, str]:
        """Nothing, and what it has written to standard error when it has ended."""
        self.wait(timeout)
        return None, self._errors.read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


Process = subprocess.Popen[str] | Forked


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


@contextmanager
def forked(words: Sequence[str], errors: Path) -> Iterator[Forked]:
    """As `started`, of the words of `python -m`, by a process that has its imports: it is forked from the fork server.

    Args:
        words: The module and its words.
        errors: The file that receives standard error.
    """
    process = multiprocessing.get_context("forkserver").Process(target=_run_module, args=(list(words), str(errors)))
    process.start()
    try:
        yield Forked(process, errors)
    finally:
        process.kill()
        process.join()


def _run_module(words: list[str], errors: str) -> None:
    """Be `python -m` of these words, as a person starts it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for path, descriptor in ((os.devnull, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__")


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


def cell_with_its_process(trainer: Any, settings: Any, language: Any, repeats: int) -> tuple[float, float, float]:
    """Figures of a trainer that tell what was asked for and which process answers; to import this takes no time."""
    return float(language.vocab_size * repeats), 0.5, float(os.getpid())
