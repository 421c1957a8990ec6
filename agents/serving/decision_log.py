"""Append decisions to a log, one line of JSON each, complete or not at all."""

import asyncio
import fcntl
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from token_env.files import drop_partial_line


class DecisionLog:
    """A log file that several processes may share.

    Lines that are due at the same time are written together, under a lock, after removing an incomplete line that a
    crashed process has left. They are handed to the operating system, and not flushed to disk.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._written: asyncio.Future[None] | None = None

    async def append(self, decision: dict[str, Any]) -> None:
        """Append a decision, and return when it is in the file.

        Raises:
            OSError: The file cannot be written.
        """
        self._lines.append(to_json(decision, inf_nan_mode="constants") + b"\n")
        if self._written is None:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_soon(self._write)
        await asyncio.shield(self._written)

    def _write(self) -> None:
        lines, written = self._lines, self._written
        self._lines, self._written = [], None
        assert written is not None
        try:
            append_lines(self.path, b"".join(lines))
        except OSError as error:
            written.set_exception(error)
            written.exception()  # also if nobody waits any more
        else:
            written.set_result(None)


def append_lines(path: Path, lines: bytes) -> None:
    """Append complete lines to a file that other processes may append to.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        drop_partial_line(file)
        if file.write(lines) != len(lines):
            raise OSError(f"{str(path)!r} takes no more; is the disk full?")
