"""A training that was stopped goes on as if nothing had happened: bit for bit, whatever stopped it."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import PPO

import agents
from agents.algorithms.table import ALGORITHMS
from agents.machine.random_states import generator_states
from agents.runs import run_dir
from agents.runs.checkpoints import (
    Checkpoint,
    checkpoint_files,
    last_checkpoint,
    read_checkpoint,
    remove_leftovers,
    write_checkpoint,
)
from agents.training.build import build, resolve_settings
from agents.training.fit import fit
from agents.training.guards import TrainingError
from agents.training.recorder import Recorder
from agents.training.resume import resume
from tests.support.resuming import assert_same_run, fit_until, spoil_generators
from tests.support.settings import short_settings
from token_env import SettingError, evaluate

SOAK = bool(os.environ.get("SOAK"))


KILLS = 50 if SOAK else 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_and_resumed_equals_undisturbed(algorithm, tmp_path, whole):
    settings = short_settings(algorithm=algorithm)
    undisturbed = whole if algorithm == "ppo" else fit(settings, tmp_path / "whole", progress=False).run
    run = fit_until(8 * 8 * 4 + 8 * 7, settings, tmp_path / "killed")
    assert (
        len(agents.load_metrics(run).episodes) == 32 > last_checkpoint(run).episodes == 24
    )  # rows that have to be cut
    spoil_generators()
    result = resume(run, progress=False)
    assert not result.interrupted
    assert_same_run(run, undisturbed)


@pytest.mark.parametrize(("algorithm", "optimizer"), [("a2c", "sgd"), ("ppo", "rmsprop")])
def test_also_with_another_optimizer(algorithm, optimizer, tmp_path):
    settings = short_settings(algorithm=algorithm, policy={"head": "fast", "optimizer": optimizer})
    undisturbed = fit(settings, tmp_path / "whole", progress=False).run
    run = fit_until(8 * 8 * 4 + 8, settings, tmp_path / "killed")
    resume(run, progress=False)
    assert_same_run(run, undisturbed)


def test_also_with_a_language_of_a_text_that_is_gone_in_bf16_and_with_stock_heads(tmp_path):
    text_file = tmp_path / "text.txt"
    text_file.write_text(" ".join(f"w{chr(97 + (i * i) % 23)} x{chr(97 + i % 19)}" for i in range(2000)))
    changes = {"env": {"language": f"text:{text_file}", "vocab_size": 30}, "curriculum": {"enabled": False}}
    settings = short_settings(policy={"head": "stock"}, precision="bf16", **changes)
    undisturbed = fit(settings, tmp_path / "whole", progress=False).run
    run = fit_until(8 * 8 * 4 + 8, settings, tmp_path / "killed")
    text_file.unlink()
    resume(run, progress=False)
    assert_same_run(run, undisturbed)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path, whole):
    run = fit_until(8 * 8 + 8, short_settings(), tmp_path / "run")
    assert last_checkpoint(run) is None
    resume(run, progress=False)
    assert_same_run(run, whole)


def test_saving_and_validating_leave_no_trace(tmp_path, whole):
    never = {"seconds": 1e9, "validations": 0}
    run = fit(short_settings(checkpoints=never | {"episodes": None}), tmp_path / "never", progress=False).run
    assert (run / run_dir.WEIGHTS).read_bytes() == (whole / run_dir.WEIGHTS).read_bytes()
    assert not (run / run_dir.BEST).exists()


def test_seeds_reach_every_generator(tmp_path):
    """A run begins with the same states of all of them, whatever was drawn before."""
    seen = []
    for spoilt in (1, 2):
        spoil_generators(spoilt)
        model = build(resolve_settings(short_settings()), "cpu").model
        seen.append((generator_states("cpu"), model.env.reset().tolist(), model.action_space.sample()))
    assert seen[0] == seen[1]


def test_the_last_two_checkpoints_and_the_best_are_kept(whole):
    summary = json.loads((whole / run_dir.SUMMARY).read_text())
    found = [read_checkpoint(path).episodes for path in checkpoint_files(whole)]
    assert found == sorted({summary["best"]["episodes"], 48, 64})
    values = [each["mean_return"] for each in summary["validations"]]
    assert [each["episodes"] for each in summary["validations"]] == [24, 48, 64]
    assert summary["best"]["mean_return"] == max(values)
    best = agents.load(whole / run_dir.BEST)
    played = evaluate(best.greedy, range(3), task=dataclasses.replace(best.task, split="validation"))
    assert played.mean_return == summary["best"]["mean_return"]


def test_a_finished_run_can_be_made_longer(tmp_path):
    at_the_end = {"seconds": 3600.0, "episodes": None, "validations": 0}  # the only checkpoint is that of the end
    constant = {"curriculum": {"enabled": False}, "ppo": {"learning_rate_schedule": "constant"}}
    settings = short_settings(episodes=32, checkpoints=at_the_end, **constant)
    run = fit(settings, tmp_path / "run", progress=False).run
    with pytest.raises(SettingError, match=r"is finished; .* type for example --episodes 64 --allow-change"):
        resume(run, progress=False)
    resume(run, {"episodes": 48}, allow_change=True, progress=False)
    longer = fit(settings.model_copy(update={"episodes": 48}), tmp_path / "longer", progress=False).run
    assert (run / run_dir.WEIGHTS).read_bytes() == (longer / run_dir.WEIGHTS).read_bytes()
    made = json.loads((run / run_dir.RUN).read_text())
    assert [(told["episodes"], told["changed"]) for told in made["resumed"]] == [(32, ["episodes"])]
    assert yaml.safe_load((run / run_dir.CONFIG).read_text())["episodes"] == 48


def test_without_the_last_checkpoint_the_one_before_is_as_good(killed, whole):
    first, last = checkpoint_files(killed)
    last.unlink()
    assert read_checkpoint(first).episodes == 16
    resume(killed, progress=False)
    assert_same_run(killed, whole)


def test_another_machine_is_told_of(killed, capsys):
    made = json.loads((killed / run_dir.RUN).read_text())
    made["threads"], made["versions"]["torch"] = 7, "1.0"
    (killed / run_dir.RUN).write_text(json.dumps(made))
    resume(killed, progress=False)
    told = capsys.readouterr().err
    assert f"results may differ: threads was 7, is now {torch.get_num_threads()}" in told
    assert "version of torch was 1.0" in told


def train_on(run):
    """Begin a run or go on with it, saving after every rollout."""
    if not run.exists():
        fit(short_settings(checkpoints={"seconds": 0.0, "episodes": None}), run, progress=False)
    elif not finished(run):
        resume(run, progress=False)


def finished(run):
    return (run / run_dir.SUMMARY).exists() and json.loads((run / run_dir.SUMMARY).read_text())["status"] == "finished"


def test_killed_at_random_moments_a_run_ends_with_the_same_weights(tmp_path):
    context = multiprocessing.get_context("forkserver")

    def child(run):
        process = context.Process(target=train_on, args=(run,))
        process.start()
        return process

    undisturbed, run = tmp_path / "undisturbed", tmp_path / "run"
    first = child(undisturbed)
    first.join()
    assert first.exitcode == 0
    started = time.monotonic()
    again = child(tmp_path / "again")
    again.join()
    seconds = time.monotonic() - started
    chance, kills = random.Random(0), 0
    while kills < KILLS:
        process = child(run)
        process.join(chance.uniform(0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        else:  # done before its time was up
            assert process.exitcode == 0
            assert_same_run(run, undisturbed)
            shutil.rmtree(run)
    last = child(run)
    last.join()
    assert last.exitcode == 0
    assert_same_run(run, undisturbed)
    assert not list(run.glob("**/.*"))


WRITES = (
    "tempfile.mkstemp", "tempfile.mkdtemp", "os.fdopen", "os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace",
    "pathlib.Path.rename", "pathlib.Path.mkdir", "pathlib.Path.unlink", "agents.runs.metrics.append_line",
)  # fmt: skip


class FullDisk:
    """Lets so many writes through; all later ones fail."""

    def __init__(self, patch, writes):
        self.left = writes
        for name in WRITES:
            module, _, attribute = name.rpartition(".")
            owner = Path if module.endswith("Path") else sys.modules[module]
            patch.setattr(owner, attribute, self.limited(getattr(owner, attribute)))

    def limited(self, write):
        def limited(*args, **keywords):
            if self.left == 0 and write.__name__ != "unlink":
                raise OSError(28, "No space left on device")
            self.left -= self.left > 0
            return write(*args, **keywords)

        return limited


def test_a_disk_that_is_full_at_any_write_leaves_the_last_checkpoint_whole(killed, tmp_path, whole):
    writes, state = 0, last_checkpoint(killed)
    newer = Checkpoint(state.tensors, state.metadata | {"episodes": 999})
    while True:
        with pytest.MonkeyPatch.context() as patch:
            disk = FullDisk(patch, writes)
            with contextlib.suppress(OSError):
                write_checkpoint(killed, newer)
            done = disk.left
        assert last_checkpoint(killed).episodes in (state.episodes, 999)
        assert not list((killed / run_dir.CHECKPOINTS).glob(".*"))
        if done:
            break
        writes += 1
    assert writes >= 6
    assert last_checkpoint(killed).episodes == 999


@pytest.fixture(scope="module")
def writes(tmp_path_factory):
    """How often a short run writes."""
    run = tmp_path_factory.mktemp("counted") / "run"
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, 10**6)
        fit(short_settings(), run, progress=False)
        return 10**6 - disk.left


# The last of them is full while the summary is written.
@pytest.mark.parametrize("share", [*np.linspace(0, 1, 60 if SOAK else 4, endpoint=False), 0.99])
def test_a_disk_that_becomes_full_stops_the_run_which_then_goes_on(share, writes, tmp_path, whole):
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, int(writes * share))
        with pytest.raises(SettingError, match=r"cannot (write into|create the directory) .*No space left on device"):
            fit(short_settings(), run, progress=False)
        assert disk.left == 0
    if run.exists():
        resume(run, progress=False)
    else:
        assert not list(tmp_path.iterdir())
        fit(short_settings(), run, progress=False)
    assert_same_run(run, whole)


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(tmp_path):
    names = {".run.json.a1b2c3d4", ".mine", "run.json"}
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".mine", "run.json"}


def test_stopped_by_a_signal_and_resumed_equals_undisturbed(tmp_path, whole, capfd):
    on_step = Recorder.on_step

    def interrupted(self):
        if self.model.num_timesteps == 8 * 8 * 5 + 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return on_step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_step", interrupted)
        stopped = fit(short_settings(), tmp_path / "run", progress=False)
    assert stopped.interrupted == signal.SIGTERM
    assert stopped.summary.episodes == last_checkpoint(stopped.run).episodes == 48
    assert "stopping at the end" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resume(stopped.run, progress=False)
    assert_same_run(stopped.run, whole)


def test_a_number_that_is_not_finite_leaves_the_last_good_checkpoint(killed, monkeypatch):
    train = PPO.train

    def diverged(self):
        train(self)
        with torch.no_grad():
            next(self.policy.parameters()).view(-1)[0] = float("nan")

    last = checkpoint_files(killed)[-1]
    monkeypatch.setattr(PPO, "train", diverged)
    with pytest.raises(TrainingError, match=rf"contain nan\. The last good checkpoint is '{re.escape(str(last))}'"):
        resume(killed, progress=False)
    assert checkpoint_files(killed)[-1] == last
    assert last_checkpoint(killed).episodes == 24
