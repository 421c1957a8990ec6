"""Trainings whose minibatches are evaluated by compiled functions: `--set compile=true`."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from agents.machine.threads import thread_count, threads_in_use
from agents.policies.compiled import COMPILING
from agents.runs import run_dir
from agents.training.build import resolve_settings
from agents.training.fit import fit
from agents.training.resume import resume
from tests.support.resuming import assert_same_run, fit_until, spoil_generators
from tests.support.settings import short_settings
from token_env import SettingError

SOAK = bool(os.environ.get("SOAK"))
TRAININGS = [("ppo", "planning")]
if SOAK:
    TRAININGS += [("ppo", head) for head in ("stock", "fast", "tied")]
    TRAININGS += [(algorithm, "planning") for algorithm in ("a2c", "grpo", "maskable-ppo")]
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler is installed"
)


@pytest.fixture
def two_threads():
    """Threads that add to the same element in any order would round differently each time."""
    with threads_in_use(2):
        yield


@needs_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler
@pytest.mark.parametrize(("algorithm", "head"), TRAININGS)
def test_a_compiled_training_learns_the_same_and_resumes_bit_for_bit(algorithm, head, two_threads, tmp_path, capsys):
    layer = {"algorithm": algorithm, "policy": {"head": head}}
    plain = fit(short_settings(**layer), tmp_path / "plain", progress=False)
    settings = short_settings(compile=True, **layer)
    torch._dynamo.utils.counters.clear()
    whole = fit(settings, tmp_path / "whole")
    assert COMPILING in capsys.readouterr().err
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 2  # the probe, and the minibatch
    run = fit_until(8 * 8 * 4 + 8 * 7, settings, tmp_path / "killed")
    spoil_generators()
    resume(run, progress=False)
    assert_same_run(run, whole.run)
    ours, theirs = (
        {name: tensor.numpy() for name, tensor in result.agent.policy.state_dict().items()} for result in (whole, plain)
    )
    for name, weights in theirs.items():
        np.testing.assert_allclose(ours[name], weights, rtol=0, atol=2e-3, err_msg=name)  # sums in another order
    assert any((ours[name] != weights).any() for name, weights in theirs.items())  # or nothing was compiled


def test_the_want_of_a_compiler_is_told_in_one_line_and_nothing_is_written(tmp_path, monkeypatch):
    def without_compiler(function, **_):
        def call(*_):
            raise RuntimeError("No working C++ compiler found.\nmore lines")

        return call

    monkeypatch.setattr(torch, "compile", without_compiler)
    with pytest.raises(SettingError, match=r"needs a compiler .*\(No working C\+\+ compiler found\); .* compile=false"):
        fit(short_settings(compile=True), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("algorithm", ["trpo", "recurrent-ppo"])
def test_algorithms_that_cannot_be_compiled_are_refused(algorithm):
    with pytest.raises(SettingError, match=f"for {algorithm} type --set compile=false"):
        resolve_settings(short_settings(algorithm=algorithm, compile=True))


def test_vocabularies_that_are_streamed_are_refused():
    with pytest.raises(SettingError, match=r"fewer than 50,000 tokens, env\.vocab_size=50000; type"):
        resolve_settings(short_settings(compile=True, env={"vocab_size": 50_000}))


def test_the_setting_is_kept_with_the_run(whole):
    assert "compile: false" in (whole / run_dir.CONFIG).read_text()
    assert json.loads((whole / run_dir.RUN).read_text())["threads"] == thread_count()
