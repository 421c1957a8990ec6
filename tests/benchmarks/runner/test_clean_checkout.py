"""Runs of uncommitted code do not get into the committed results."""

import pytest

from benchmarks.runner import clean_checkout
from benchmarks.runner.harness import run_benchmark
from benchmarks.runner.measurement import measure
from token_env import SettingError

TOLD = r"agents/a\.py, b and 3 more differ from the last commit.*git stash"


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A folder in place of the committed results, in a checkout with changes."""
    monkeypatch.setattr(clean_checkout, "RESULTS", tmp_path / "committed")
    monkeypatch.setattr(clean_checkout, "changed_files", lambda: ["agents/a.py", *"bcde"])
    monkeypatch.setattr(clean_checkout, "SHOWN", 2)
    return tmp_path / "committed"


def test_nothing_is_trained_into_the_committed_results_from_changed_code(committed, submitted):
    with pytest.raises(SettingError, match=TOLD):
        run_benchmark("tiny", committed / ".." / "committed", committed / "runs", seeds=1)
    assert submitted == []
    with pytest.raises(SettingError, match=TOLD):
        measure("tiny", "tiny/ppo", 0, committed, committed / "run")
    assert not (committed / "run").exists()


def test_other_folders_and_committed_code_are_free(committed, submitted, monkeypatch):
    run_benchmark("tiny", committed.with_name("mine"), committed / "runs", seeds=1, cases=["tiny/ppo"])
    for changed in ([], None):
        monkeypatch.setattr(clean_checkout, "changed_files", lambda files=changed: files)
        run_benchmark("tiny", committed, committed / "runs", seeds=1, cases=["tiny/a2c"])
    assert submitted == ["tiny/ppo seed 0", "tiny/a2c seed 0", "tiny/a2c seed 0"]
