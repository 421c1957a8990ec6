"""Write files and folders so that a crash leaves neither half of one nor half a line."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically: write a temporary file, flush it to disk, rename it.

    Raises:
        OSError: The file cannot be written; the old file is left unchanged.
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


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Provide a temporary folder to fill, which becomes `path` by one rename; if the block raises, nothing stays of it.

    Raises:
        OSError: The folder cannot be created, or `path` has appeared in the meantime.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def drop_partial_line(file: IO[bytes]) -> None:
    """Cut off everything after the last newline of a text file: a line that a crash left incomplete.

    Args:
        file: The file, open for reading and writing; no other process may write to it.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
