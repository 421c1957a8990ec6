"""A signal stops a training in good order; a second one at once."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import agents
from agents.machine.signals import ASKED
from agents.runs import run_dir
from agents.runs.checkpoints import last_checkpoint
from agents.training.fit import fit
from agents.training.recorder import Recorder
from agents.training.resume import resume
from tests.support.settings import short_settings


def command(*words, stderr=subprocess.PIPE):
    return subprocess.Popen(
        [sys.executable, "-m", "agents.train", *words], stdout=subprocess.PIPE, stderr=stderr, text=True
    )


def wait_for(condition, process, seconds=120.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(number, tmp_path):
    run = tmp_path / "run"
    options = ["--size", "tiny", "--device", "cpu", "--episodes", "400000", "--set", "checkpoints.validations=0"]
    process = command("ppo", *options, "--out", str(run))
    updates = run / run_dir.UPDATES
    wait_for(lambda: updates.exists() and updates.read_text(), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "stopping at the end of this rollout; the same again stops at once" in errors
    assert f"to go on, type\npython -m agents.train --resume {run}\n" in errors
    assert "Traceback" not in errors
    summary = json.loads((run / run_dir.SUMMARY).read_text())
    episodes = len(agents.load_metrics(run).episodes)
    assert (summary["status"], summary["episodes"]) == ("interrupted", episodes)
    assert last_checkpoint(run).episodes == episodes
    assert agents.load(run).settings.name == "tiny"
    result = resume(run, {"episodes": episodes + 40}, allow_change=True, progress=False)
    assert len(agents.load_metrics(run).episodes) == episodes + 40
    assert result.summary["status"] == "finished"


def test_a_second_signal_stops_at_once(tmp_path):
    run = tmp_path / "run"
    options = ["--size", "tiny", "--device", "cpu", "--episodes", "40000", "--set", "ppo.n_steps=8000"]
    told = tmp_path / "told"
    with told.open("w") as file:
        process = command("ppo", *options, "--set", "ppo.batch_size=40000", "--out", str(run), stderr=file)
    wait_for(lambda: (run / run_dir.EPISODES).exists() and (run / run_dir.EPISODES).read_text(), process)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: ASKED in told.read_text(), process)  # or both would be received as one
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    errors = told.read_text()
    assert process.returncode == 128 + signal.SIGTERM
    assert f"interrupted; to go on with it, type\npython -m agents.train --resume {run}" in errors
    assert "Traceback" not in errors
    assert not (run / run_dir.SUMMARY).exists()


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_step = Recorder._on_step

    def interrupted(self):
        os.kill(os.getpid(), signal.SIGINT)
        return on_step(self)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Recorder, "_on_step", interrupted)
            result = fit(short_settings(episodes=8), tmp_path / "run", progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not result.interrupted
