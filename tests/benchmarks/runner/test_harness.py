"""Runs of a benchmark survive whatever ends the harness or its workers."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.measures.results_file import append, read_rows, read_rows_if_any, results_file
from benchmarks.runner.harness import run_benchmark
from benchmarks.runner.measurement import measure
from benchmarks.runner.processes import Job
from tests.support.benchmarks.rows import make_row
from tests.support.harness import SEEDS, SOAK, command, first_worker, gone, measured, workers_of
from tests.support.processes import SECONDS, errors_of, forked, wait_until
from token_env import SettingError

KILLS = 10 if SOAK else 2  # of a worker, then of the harness
LONGEST = 8.0 if SOAK else 2.0  # seconds between kills: so that runs are left to kill
JOBS = [Job(case, seed) for seed in range(SEEDS) for case in ("tiny/ppo", "tiny/a2c")]


class Told(NamedTuple):
    """What became of the runs of one folder: killed again and again, then some failed, then the rest was made."""

    folder: Path
    first: str  # what the first harness told
    survivors: list[int]  # workers that outlived their killed harness
    finished: list[set[Job]]  # when the killing ended, and after the failures
    failing: Any  # the command that had something in its way: its exit code and output
    last: Any  # the command that was left in peace


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    (folder / "errors").mkdir()
    survivors = kill_at_random_moments(folder)
    finished = [finished_in(folder)]
    with in_the_way(folder / "runs" / "tiny" / "tiny-ppo", folder / "aside"):
        failing = CliRunner().invoke(app, command(folder)[3:])
    finished.append(finished_in(folder))
    last = CliRunner().invoke(app, command(folder)[3:])
    return Told(folder, (folder / "errors" / "0").read_text(), survivors, finished, failing, last)


def finished_in(folder):
    return {Job(row.case, row.seed) for row in read_rows_if_any("tiny", folder).accepted}


@contextlib.contextmanager
def in_the_way(path, aside):
    """A file where runs of a case are to be written; what was there comes back."""
    path.mkdir(parents=True, exist_ok=True)
    path.rename(aside)
    path.write_text("in the way")
    yield
    path.unlink()
    aside.rename(path)


def kill_at_random_moments(folder):
    """Kill workers and harnesses in turn; the workers that outlived their harness."""
    chance, kills, survivors = random.Random(0), 0, []
    while kills < KILLS and len(finished_in(folder)) < len(JOBS):
        with forked(command(folder)[2:], folder / "errors" / f"{kills}") as harness:
            while kills < KILLS and at_work(folder, harness):
                time.sleep(chance.uniform(0.0, LONGEST))
                if kills % 2 == 0:
                    kill_a_worker(folder, harness)
                else:
                    with contextlib.suppress(ProcessLookupError):
                        harness.send_signal(signal.SIGKILL)
                    harness.wait(SECONDS)
                    survivors += [] if gone(folder) else workers_of(folder)
                kills += 1
    return survivors


def at_work(folder, harness):
    """The workers as soon as there are some; none if the harness ends before."""
    wait_until(lambda: harness.poll() is not None or workers_of(folder))
    return workers_of(folder) if harness.poll() is None else []


def kill_a_worker(folder, harness):
    """Kill one that is still at work; one may end between the look and the kill."""
    while workers := at_work(folder, harness):
        with contextlib.suppress(ProcessLookupError):
            os.kill(workers[0], signal.SIGKILL)
            return


def test_killed_at_random_moments_the_same_command_ends_with_the_same_results(told, tmp_path):
    assert told.survivors == []  # workers end with their harness
    assert told.last.exit_code == 0, told.last.stderr
    assert not read_rows("tiny", told.folder).warning
    for job in JOBS:  # undisturbed, in this process
        measure("tiny", *job, tmp_path, tmp_path / "run")
    pd.testing.assert_frame_equal(measured(told.folder), measured(tmp_path))


def test_a_finished_run_is_never_repeated_and_tells_how_it_was_made(told, capsys):
    assert f"0 of {len(JOBS)} runs are finished" in told.first
    assert f"{len(told.finished[1])} of {len(JOBS)} runs are finished" in told.last.stderr
    before = results_file("tiny", told.folder).read_bytes()
    assert run_benchmark("tiny", told.folder, told.folder / "runs", seeds=SEEDS) == []
    assert f"{len(JOBS)} of {len(JOBS)} runs are finished" in capsys.readouterr().err
    assert results_file("tiny", told.folder).read_bytes() == before
    row = next(row for row in read_rows("tiny", told.folder).accepted if row.case == "tiny/a2c")
    assert row.training.threads == 1
    assert row.machine.host
    assert len(row.returns) == 400
    assert len(row.losses) == len(row.rollout_tokens) == 50
    assert 0 < row.training.cpu_seconds < 2 * row.training.seconds + 1


def test_a_worker_that_fails_costs_its_run_alone(told):
    killed, then, error = told.finished[0], told.finished[1], told.failing.stderr
    failed = [str(job) for job in JOBS if job.case == "tiny/ppo" and job not in killed]
    assert told.failing.exit_code == 1
    for job in failed:
        assert f"{job} failed with exit code 2: error: cannot create the directory" in error
    assert f"{len(failed)} runs failed: {', '.join(failed)}. Repeat the command to retry them." in error
    assert "Traceback" not in error
    assert {str(job) for job in JOBS if job not in then} == set(failed)


def test_ctrl_c_keeps_what_is_finished_and_leaves_nobody_behind(tmp_path):
    with forked(command(tmp_path)[2:], tmp_path / "errors") as harness:
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
