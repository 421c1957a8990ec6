"""Runs on a Ray cluster are those of this machine, whoever dies; a cluster of no use is named in one message."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from agents import load
from benchmarks.measures.results_file import read_rows, results_file
from benchmarks.runner.harness import run_benchmark
from tests.support.harness import command, first_worker, gone, measured, run_to_the_end, workers_of
from tests.support.processes import SECONDS, errors_of, run, started, wait_until
from tests.support.servers import ray_nodes
from token_env import SettingError

needs_ray = pytest.mark.skipif(bool(ray_nodes.why_not()), reason=ray_nodes.why_not() or "")
STOP_SECONDS = 60.0  # a cancelled task may take so long to delete its files
IMPATIENT = (
    "from benchmarks.runner import ray_cluster as ray; ray.HEARTBEAT_SECONDS = ray.HEAD_TIMEOUT_SECONDS = 0.5; "
    "from benchmarks.__main__ import app; app()"
)


@pytest.fixture
def nodes(tmp_path):
    (tmp_path / "scratch").mkdir()
    with ray_nodes.cluster(tmp_path / "scratch") as nodes:
        yield nodes


def on_ray(folder, address):
    words = command(folder, 1, "--executor", "ray", "--address", address)
    workers = words.index("--workers")
    return words[:workers] + words[workers + 2 :]


@needs_ray
def test_a_run_whose_node_dies_is_made_again_and_nodes_of_other_versions_are_refused(tmp_path, nodes):
    here, there = tmp_path / "here", tmp_path / "there"
    nodes.add()
    with started(on_ray(there, nodes.address), stdout=subprocess.PIPE) as harness:
        wait_until(lambda: len(workers_of(tmp_path / "scratch")) == 2, harness)
        nodes.kill(1)
        out, error = harness.communicate(timeout=SECONDS)
    assert harness.returncode == 0, error
    assert error.count("it starts again") == 1
    assert out == f"python -m benchmarks table tiny --results {there}\n"
    assert gone(tmp_path / "scratch", 60.0)
    run_to_the_end(here, 1)
    assert len(results_file("tiny", there).read_text().splitlines()) == 2
    pd.testing.assert_frame_equal(measured(there), measured(here))
    files = [{path.relative_to(at) for path in at.rglob("runs/**/*")} for at in (here, there)]
    assert {path for path in files[0] ^ files[1] if not path.name.startswith("events")} == set()
    assert load(there / "runs" / "tiny" / "tiny-ppo" / "seed-0").settings.seed == 0

    older = tmp_path / "older" / "numpy-1.0.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    nodes.add(older.parent)
    refused = run(on_ray(tmp_path / "refused", nodes.address))
    assert refused.returncode == 2
    (message,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert ") has numpy 1.0, here is numpy " in message


@needs_ray
def test_ctrl_c_ends_all_and_a_cluster_that_goes_leaves_what_is_finished(tmp_path, nodes):
    with started(on_ray(tmp_path, nodes.address)) as harness:
        os.kill(first_worker(tmp_path / "scratch"), signal.SIGSTOP)  # so that SIGTERM does not end it
        harness.send_signal(signal.SIGINT)
        sent = time.monotonic()
        error = errors_of(harness)
        took = time.monotonic() - sent
    assert harness.returncode == 130, error
    assert "repeat the command to continue" in error
    assert gone(tmp_path / "scratch", 60.0)
    left = list((tmp_path / "scratch").glob("tokentask-*"))
    assert not left or took > STOP_SECONDS  # the harness waits so long for tasks to delete files

    with started([sys.executable, "-c", IMPATIENT, *on_ray(tmp_path, nodes.address)[3:]]) as harness:
        wait_until(lambda: results_file("tiny", tmp_path).exists() and workers_of(tmp_path / "scratch"), harness)
        assert not [folder for folder in left if folder.exists()]  # the node's next task has deleted them
        nodes.kill(0)
        error = errors_of(harness)
    assert harness.returncode == 2, error
    assert "is gone. Finished runs are kept; start a cluster and repeat the command to continue." in error
    assert "Traceback" not in error
    assert [row.case for row in read_rows("tiny", tmp_path).accepted] == ["tiny/ppo"]
    assert gone(tmp_path / "scratch", 60.0)


@needs_ray
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1; type --address of one"),
        ("ray://head:10001", "--address 'ray://head:10001' is not HOST:PORT of the head of a Ray cluster"),
    ],
)
def test_an_address_without_a_cluster_is_named(tmp_path, address, message):
    out = run(on_ray(tmp_path, address))
    assert out.returncode == 2
    assert f"error: {message}" in out.stderr
    assert "Traceback" not in out.stderr


def test_without_ray_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.runner.harness.find_spec", lambda name: None)
    with pytest.raises(
        SettingError, match=r"--executor ray needs Ray; type pip install -c constraints\.txt '\.\[ray\]'"
    ):
        run_benchmark("tiny", tmp_path, tmp_path / "runs", seeds=1, executor="ray")
