"""Write files so that no crash leaves half of one, or half a line."""

import os
import tempfile
from pathlib import Path
from typing import IO


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none: temporary file, flush to disk, rename.

    Raises:
        OSError: it cannot be written; then what was there before is there still.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def cut_torn_line(file: IO[bytes]) -> None:
    """Cut off what follows the last newline of a file of lines: what a crash has left of another one.

    Args:
        file: open for reading and writing, with nobody else writing.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
