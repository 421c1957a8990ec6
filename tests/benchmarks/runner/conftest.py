"""What a benchmark would run."""

from contextlib import nullcontext

import pytest

from benchmarks.runner.harness import EXECUTORS
from tests.support.harness import Notes


@pytest.fixture
def submitted(monkeypatch):
    """The jobs that a benchmark would have run here."""
    notes = Notes()
    monkeypatch.setitem(EXECUTORS, "local", lambda *arguments: nullcontext(notes))
    return notes.jobs
