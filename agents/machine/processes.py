"""Name processes so that anyone can tell whether one of them still runs, and start them on one thread each."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # part of the recipe
ANSWER_SECONDS = 10.0  # that ps may take


class Process(NamedTuple):
    """A process among all that hosts have ever had; hosts need different names."""

    host: str
    pid: int
    born: str  # when it began, in the system's own words: numbers of processes come again

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this host."""
        return self.host == platform.node()

    @property
    def runs(self) -> bool:
        """Whether it still runs, if it belongs to this host."""
        return _born(self.pid) == self.born


def this_process() -> Process:
    """The one that asks."""
    pid = os.getpid()
    return Process(platform.node(), pid, _born(pid) or "")


def _born(pid: int) -> str | None:
    """When a process of this host began; None if there is none of this number, or only what is left of a dead one."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        return None if state in "ZX" else fields[18]
    except OSError:
        return None if Path("/proc/self").exists() else _told_by_ps(pid)


def _told_by_ps(pid: int) -> str | None:
    """The same where there is no /proc (macOS)."""
    command = ("ps", "-o", "lstart=,state=", "-p", str(pid))
    told = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False).stdout.split()
    return None if not told or told[-1].startswith("Z") else " ".join(told[:-1])


@contextmanager
def one_thread_each() -> Iterator[None]:
    """What is started meanwhile computes on one thread."""
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
