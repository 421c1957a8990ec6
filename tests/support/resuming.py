"""Trainings that are killed, and the comparison of a run with one that nothing disturbed."""

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import agents
from agents.runs import run_dir
from agents.training.fit import fit
from agents.training.recorder import Recorder

# What never repeats in a summary.
TIMES = {"training_seconds", "cpu_seconds", "steps_per_second", "peak_memory_mb", "load_at_end"}


class Killed(BaseException):
    """Ends a training as `kill -9` would: nobody expects it."""


def fit_until(steps, settings, run):
    """Train until all environments have made so many steps together."""
    on_step = Recorder.on_step

    def killed(self):
        going_on = on_step(self)
        if self.num_timesteps >= steps:
            raise Killed
        return going_on

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_step", killed)
        with pytest.raises(Killed):
            fit(settings, run, progress=False)
    return run


def assert_same_run(ours, theirs):
    """Weights, the best ones too, all metrics, what TensorBoard shows, and the summary, but for times."""
    for model in (run_dir.WEIGHTS, f"{run_dir.BEST}/{run_dir.WEIGHTS}"):
        assert (ours / model).read_bytes() == (theirs / model).read_bytes()
    for one, other in zip(agents.load_metrics(ours), agents.load_metrics(theirs), strict=True):
        pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)
    one, other = (json.loads((run / run_dir.SUMMARY).read_text()) for run in (ours, theirs))
    assert {name for name in one if one[name] != other[name]} <= TIMES
    one, other = (scalars(run) for run in (ours, theirs))
    assert {name for name in one if one[name] != other[name]} <= {"time/fps"}


def scalars(run):
    events = EventAccumulator(str(run / run_dir.TENSORBOARD), size_guidance={"scalars": 0}).Reload()
    return {
        name: repr([(event.step, event.value) for event in events.Scalars(name)]) for name in events.Tags()["scalars"]
    }


def spoil_generators(seed=5):
    """Leave all of them in another state."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (SB3 draws from this one)
    torch.manual_seed(seed)
