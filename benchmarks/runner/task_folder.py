"""Provide temporary directories for tasks of a cluster; the next task of a node deletes what killed tasks left."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.machine.processes import is_running


@contextmanager
def task_folder() -> Iterator[Path]:
    """Yield a new temporary directory and delete it afterwards; first delete those of killed tasks of this node."""
    prefix = f"tokentask-{platform.node()}-"  # nodes may share the parent directory, but not process ids
    for folder in Path(tempfile.gettempdir()).iterdir():
        process_id = folder.name.removeprefix(prefix).partition("-")[0]
        if folder.name.startswith(prefix) and process_id.isdecimal() and not is_running(int(process_id)):
            shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-") as name:
        yield Path(name)
