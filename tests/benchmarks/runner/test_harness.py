"""Runs of a benchmark survive whatever ends the harness or its workers."""

import contextlib
import os
import random
import signal
import subprocess
import time

import pandas as pd
import pytest

from benchmarks.measures.results_file import append, read_rows, results_file
from benchmarks.runner.harness import run_benchmark
from tests.support.benchmark_rows import make_row
from tests.support.harness import command, first_worker, gone, measured, run_to_the_end
from token_env import SettingError

SOAK = bool(os.environ.get("SOAK"))
KILLS = 10 if SOAK else 3


def kill_a_worker(folder):
    """Kill one that is still at work; one may end between the look and the kill."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first_worker(folder), signal.SIGKILL)
            return


def test_killed_at_random_moments_the_same_command_ends_with_the_same_results(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    started = time.monotonic()
    run_to_the_end(undisturbed)
    longest = (time.monotonic() - started) / (2 * KILLS)  # between kills: so that runs are left to kill
    chance = random.Random(0)
    harness = None
    for kill in range(KILLS):
        if harness is None or harness.poll() is not None:
            harness = subprocess.Popen(command(disturbed), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        first_worker(disturbed)
        time.sleep(chance.uniform(0.0, longest))
        if kill % 2:
            kill_a_worker(disturbed)
        else:
            harness.kill()
            harness.wait()
            assert gone(disturbed)  # its workers end with it
    harness.kill()
    harness.wait()
    run_to_the_end(disturbed)
    assert not read_rows("tiny", disturbed).complaint
    pd.testing.assert_frame_equal(measured(disturbed), measured(undisturbed))


def test_a_finished_run_is_never_repeated_and_tells_how_it_was_made(tmp_path):
    only = (1, "--case", "tiny/a2c")
    assert "0 of 1 runs are there" in run_to_the_end(tmp_path, *only)
    before = results_file("tiny", tmp_path).read_bytes()
    assert "1 of 1 runs are there" in run_to_the_end(tmp_path, *only)
    assert results_file("tiny", tmp_path).read_bytes() == before
    (row,) = read_rows("tiny", tmp_path).good
    assert row.training.threads == 1
    assert row.machine.host
    assert len(row.returns) == 400
    assert len(row.losses) == len(row.rollout_tokens) == 50
    assert 0 < row.training.cpu_seconds < 2 * row.training.seconds + 1


def test_a_worker_that_fails_costs_its_run_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").mkdir()
    (tmp_path / "runs" / "tiny" / "tiny-ppo").write_text("in the way")
    out = subprocess.run(command(tmp_path, 1), capture_output=True, text=True)
    assert out.returncode == 1
    assert "tiny/ppo seed 0 failed with exit code 2: error: cannot make the directory" in out.stderr
    assert "1 runs failed: tiny/ppo seed 0. The same command again tries them again." in out.stderr
    assert "Traceback" not in out.stderr
    assert [row.case for row in read_rows("tiny", tmp_path).good] == ["tiny/a2c"]


def test_ctrl_c_keeps_what_is_finished_and_leaves_nobody_behind(tmp_path):
    harness = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, text=True)
    first_worker(tmp_path)
    harness.send_signal(signal.SIGINT)
    _, error = harness.communicate()
    assert harness.returncode == 130
    assert "the same command again goes on" in error
    assert gone(tmp_path)


def test_results_of_other_versions_are_not_mixed_with_new_ones(tmp_path):
    row = make_row()
    append("tiny", tmp_path, row.model_copy(update={"versions": row.versions | {"torch": "1.0"}}))
    with pytest.raises(SettingError, match=r"were made with torch 1\.0, here is torch"):
        run_benchmark("tiny", tmp_path, tmp_path / "runs", seeds=1)
    assert len(results_file("tiny", tmp_path).read_text().splitlines()) == 1


def test_a_damaged_row_is_named_and_its_run_made_again(tmp_path, capsys, monkeypatch):
    results_file("tiny", tmp_path).write_text("nonsense\n")
    made = []
    monkeypatch.setattr("benchmarks.runner.harness._work_off", lambda jobs, *rest: made.extend(map(str, jobs)) or [])
    run_benchmark("tiny", tmp_path, tmp_path / "runs", seeds=1, cases=["tiny/a2c"])
    assert made == ["tiny/a2c seed 0"]
    assert "line 1, is left out: it is damaged" in capsys.readouterr().err
