"""Identify processes across hosts, check whether they still run, and start children on one thread each."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PS_SECONDS = 10.0  # time limit of ps


class Process(NamedTuple):
    """Identity of a process, unique over time and over hosts with different names."""

    host: str
    pid: int
    started: str  # start time in the system's own format; needed because process ids are reused

    @property
    def is_local(self) -> bool:
        """Whether the process belongs to this host."""
        return self.host == platform.node()

    @property
    def is_running(self) -> bool:
        """Whether the process still runs; meaningful only if `is_local`."""
        return _start_time(self.pid) == self.started


def this_process() -> Process:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return Process(platform.node(), pid, _start_time(pid) or "")


def is_running(pid: int) -> bool:
    """Return whether a process of this host has this id."""
    return _start_time(pid) is not None


def _start_time(pid: int) -> str | None:
    """Return the start time of a process of this host; None if it does not exist or is a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        return None if state in "ZX" else fields[18]
    except OSError:
        return None if Path("/proc/self").exists() else _start_time_from_ps(pid)


def _start_time_from_ps(pid: int) -> str | None:
    """Return the start time on systems without /proc (macOS)."""
    command = ("ps", "-o", "lstart=,state=", "-p", str(pid))
    words = subprocess.run(command, capture_output=True, text=True, timeout=PS_SECONDS, check=False).stdout.split()
    return None if not words or words[-1].startswith("Z") else " ".join(words[:-1])


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Make processes started inside the context compute on one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
