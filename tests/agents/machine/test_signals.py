"""A signal stops a training in good order; a second one at once."""

import json
import os
import signal

import pytest

import agents
from agents.machine.processes import ONE_THREAD
from agents.machine.signals import STOP_NOTICE
from agents.runs import run_dir
from agents.runs.checkpoints import last_checkpoint
from agents.training.fit import fit
from agents.training.recorder import Recorder
from agents.training.resume import resume
from tests.support.processes import SECONDS, errors_of, forked, python, started, wait_until
from tests.support.settings import short_settings

TRAIN = ["agents.train", "ppo", "--size", "tiny", "--device", "cpu"]


def typed(words, errors):
    """A process that a shell has started, as the other commands of these tests are not: that takes ten seconds."""
    return started(python(*words), env=os.environ | ONE_THREAD)


@pytest.mark.parametrize(("number", "started_as"), [(signal.SIGINT, typed), (signal.SIGTERM, forked)])
def test_a_signal_saves_and_says_how_to_go_on(number, started_as, tmp_path):
    run = tmp_path / "run"
    options = ["--episodes", "400000", "--set", "checkpoints.validations=0", "--set", "evaluation.problems=4"]
    updates = run / run_dir.UPDATES
    with started_as([*TRAIN, *options, "--out", str(run)], tmp_path / "told") as process:
        wait_until(lambda: updates.exists() and updates.read_text(), process)
        process.send_signal(number)
        errors = errors_of(process)
    assert process.returncode == 128 + number
    assert "stopping at the end of this rollout; a second signal stops at once" in errors
    assert f"to continue, type\npython -m agents.train --resume {run}\n" in errors
    assert "Traceback" not in errors
    summary = json.loads((run / run_dir.SUMMARY).read_text())
    episodes = len(agents.load_metrics(run).episodes)
    assert (summary["status"], summary["episodes"]) == ("interrupted", episodes)
    assert last_checkpoint(run).episodes == episodes
    assert agents.load(run).settings.name == "tiny"
    result = resume(run, {"episodes": episodes + 40}, allow_change=True, progress=False)
    assert len(agents.load_metrics(run).episodes) == episodes + 40
    assert result.summary.status == "finished"


def test_a_second_signal_stops_at_once(tmp_path):
    run = tmp_path / "run"
    options = ["--episodes", "40000", "--set", "ppo.n_steps=8000", "--set", "ppo.batch_size=40000"]
    told = tmp_path / "told"
    with forked([*TRAIN, *options, "--out", str(run)], told) as process:
        wait_until(lambda: (run / run_dir.EPISODES).exists() and (run / run_dir.EPISODES).read_text(), process)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: STOP_NOTICE in told.read_text(), process)  # or both would be received as one
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
    errors = told.read_text()
    assert process.returncode == 128 + signal.SIGTERM
    assert f"interrupted; to resume, type\npython -m agents.train --resume {run}" in errors
    assert "Traceback" not in errors
    assert not (run / run_dir.SUMMARY).exists()


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_step = Recorder.on_step

    def interrupted(self):
        os.kill(os.getpid(), signal.SIGINT)
        return on_step(self)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Recorder, "on_step", interrupted)
            result = fit(short_settings(episodes=8), tmp_path / "run", progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not result.interrupted
