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
from tests.support.harness import SEEDS, SOAK, command, first_worker, gone, measured, run_to_the_end
from tests.support.processes import errors_of, started
from token_env import SettingError

KILLS = 10 if SOAK else 2  # of the harness, then of a worker


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing disturbed: its folder, what it told, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    told = run_to_the_end(folder)
    return folder, told, time.monotonic() - began


def kill_a_worker(folder):
    """Kill one that is still at work; one may end between the look and the kill."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first_worker(folder), signal.SIGKILL)
            return


def test_killed_at_random_moments_the_same_command_ends_with_the_same_results(tmp_path, undisturbed):
    folder, _, seconds = undisturbed
    longest = seconds / (2 * KILLS)  # between kills: so that runs are left to kill
    chance, kills = random.Random(0), 0
    while kills < KILLS:
        with started(command(tmp_path), stderr=subprocess.DEVNULL) as harness:
            while harness.poll() is None and kills < KILLS:
                first_worker(tmp_path)
                time.sleep(chance.uniform(0.0, longest))
                if kills % 2:
                    kill_a_worker(tmp_path)
                else:
                    harness.kill()
                    harness.wait()
                    assert gone(tmp_path)  # its workers end with it
                kills += 1
    run_to_the_end(tmp_path)
    assert not read_rows("tiny", tmp_path).warning
    pd.testing.assert_frame_equal(measured(tmp_path), measured(folder))


def test_a_finished_run_is_never_repeated_and_tells_how_it_was_made(undisturbed, capsys):
    folder, told, _ = undisturbed
    count = 2 * SEEDS
    assert f"0 of {count} runs are finished" in told
    before = results_file("tiny", folder).read_bytes()
    assert run_benchmark("tiny", folder, folder / "runs", seeds=SEEDS) == []
    assert f"{count} of {count} runs are finished" in capsys.readouterr().err
    assert results_file("tiny", folder).read_bytes() == before
    row = next(row for row in read_rows("tiny", folder).accepted if row.case == "tiny/a2c")
    assert row.training.threads == 1
    assert row.machine.host
    assert len(row.returns) == 400
    assert len(row.losses) == len(row.rollout_tokens) == 50
    assert 0 < row.training.cpu_seconds < 2 * row.training.seconds + 1


def test_a_worker_that_fails_costs_its_run_alone(tmp_path, run):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").mkdir()
    (tmp_path / "runs" / "tiny" / "tiny-ppo").write_text("in the way")
    code, _, error = run(f"benchmarks run tiny --seeds 1 --workers 2 --results {tmp_path} --runs {tmp_path / 'runs'}")
    assert code == 1
    assert "tiny/ppo seed 0 failed with exit code 2: error: cannot create the directory" in error
    assert "1 runs failed: tiny/ppo seed 0. Repeat the command to retry them." in error
    assert "Traceback" not in error
    assert [row.case for row in read_rows("tiny", tmp_path).accepted] == ["tiny/a2c"]


def test_ctrl_c_keeps_what_is_finished_and_leaves_nobody_behind(tmp_path):
    with started(command(tmp_path)) as harness:
        first_worker(tmp_path)
        harness.send_signal(signal.SIGINT)
        error = errors_of(harness)
    assert harness.returncode == 130
    assert "repeat the command to continue" in error
    assert gone(tmp_path)


def test_results_of_other_versions_are_not_mixed_with_new_ones(tmp_path):
    row = make_row()
    append("tiny", tmp_path, row.model_copy(update={"versions": row.versions | {"torch": "1.0"}}))
    with pytest.raises(SettingError, match=r"were made with torch 1\.0, here is torch"):
        run_benchmark("tiny", tmp_path, tmp_path / "runs", seeds=1)
    assert len(results_file("tiny", tmp_path).read_text().splitlines()) == 1


def test_a_damaged_row_is_named_and_its_run_made_again(tmp_path, capsys, submitted):
    results_file("tiny", tmp_path).write_text("nonsense\n")
    run_benchmark("tiny", tmp_path, tmp_path / "runs", seeds=1, cases=["tiny/a2c"])
    assert submitted == ["tiny/a2c seed 0"]
    assert "line 1, is left out: it is damaged" in capsys.readouterr().err
