"""Temporary directories of tasks do not pile up on a node."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from benchmarks.runner.task_folder import task_folder

KILLED = """
import os, signal
from benchmarks.runner.task_folder import task_folder
with task_folder() as folder:
    (folder / "weights").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_directory_of_a_killed_task_is_deleted_by_the_next_one(scratch):
    killed = subprocess.run([sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(scratch)})
    assert killed.returncode == -signal.SIGKILL
    (left,) = scratch.iterdir()
    with task_folder() as folder:
        assert list(scratch.iterdir()) == [folder]
        assert folder != left
    assert not list(scratch.iterdir())


def test_directories_of_running_tasks_and_of_others_stay(scratch):
    other = scratch / "tokentask-elsewhere-1000000000-x"
    other.mkdir()
    with task_folder() as first, task_folder() as second:
        assert set(scratch.iterdir()) == {other, first, second}
