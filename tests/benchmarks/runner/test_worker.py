"""A worker ends with its harness at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.runner import measurement, worker
from benchmarks.runner.processes import BenchmarkPaths, Job, ProcessExecutor
from benchmarks.runner.worker import DIVERGED, ORPHANED
from tests.support.benchmarks.rows import make_diverged_row
from tests.support.processes import SECONDS, python


def test_a_worker_ends_with_its_harness_while_it_still_imports(tmp_path):
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(3600)\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    words = python("benchmarks.runner.worker", "tiny", "tiny/a2c", "0", str(tmp_path), str(tmp_path / "run"))
    harness_is_gone = subprocess.DEVNULL
    worker = subprocess.run(words, stdin=harness_is_gone, env=os.environ | {"PYTHONPATH": path}, timeout=SECONDS)
    assert worker.returncode == ORPHANED


def test_a_worker_tells_that_its_training_diverged(monkeypatch, capsys):
    monkeypatch.setattr(worker, "exit_with_harness", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(measurement, "measure", lambda *arguments: make_diverged_row())
    assert worker.main(["tiny", "tiny/ppo", "0", "results", "run"]) == DIVERGED
    assert capsys.readouterr().err == "diverged after 3 of 400 episodes\n"


def test_a_run_that_diverged_counts_as_made_and_its_progress_line_says_so(tmp_path, monkeypatch):
    program = tmp_path / "worker"
    program.write_text(f"#!/bin/sh\necho diverged after 3 of 400 episodes\nexit {DIVERGED}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with ProcessExecutor(BenchmarkPaths("tiny", Path("results"), Path("runs")), workers=1) as executor:
        executor.submit(Job("tiny/ppo", 0))
        until = time.monotonic() + SECONDS
        while not (results := executor.completed()):
            assert time.monotonic() < until
    (result,) = results
    assert not result.failure
    assert str(result).startswith("tiny/ppo seed 0: ")
    assert str(result).endswith(" s, diverged after 3 of 400 episodes")
