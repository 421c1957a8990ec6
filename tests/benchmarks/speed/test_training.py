import os
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from stable_baselines3 import PPO

from agents.machine.matmul import Cpu
from agents.machine.threads import threads_in_use
from agents.machine.usage import peak_memory_mb
from agents.policies.bf16 import Bf16Linear
from agents.policies.distributions import LargeCategoricalDistribution
from agents.settings.layers import make_settings, preset_layer
from benchmarks.speed.trainers import FAST, FAST_BF16, SBX, SHARED, STOCK_LOOP, TIED, shared_settings, trainers
from benchmarks.speed.training import (
    RepeatTiming,
    Timings,
    flops_per_step,
    growth_table,
    measure,
    measure_growth,
    rollout_steps,
)
from tests.support.processes import cell_with_its_process
from token_env.rules.dynamics import Dynamics


@pytest.fixture
def settings():
    return make_settings(preset_layer("tiny"), {"ppo": SHARED | {"n_steps": 8, "batch_size": 128}})


def test_all_trainers_do_the_same_work(settings):
    stock, fast = STOCK_LOOP.build(settings), FAST.build(settings)
    assert type(stock) is PPO
    assert isinstance(fast.policy.action_dist, LargeCategoricalDistribution)
    for name in ("n_envs", "n_steps", "batch_size", "n_epochs", "gamma", "ent_coef"):
        assert getattr(stock, name) == getattr(fast, name)
    shapes = [[weights.shape for weights in model.policy.parameters()] for model in (stock, fast)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("features", "precision"), [(("avx512_bf16",), "bf16"), ((), "float32")])
def test_bf16_is_measured_only_where_the_processor_has_it(features, precision, settings, monkeypatch):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: Cpu("AuthenticAMD", frozenset(features)))
    assert (FAST_BF16 in trainers()) == (precision == "bf16")
    assert isinstance(FAST_BF16.build(settings).policy.action_net, Bf16Linear) == (precision == "bf16")


def test_sbx_is_measured_where_it_is_installed(monkeypatch):
    for found in (True, False):
        monkeypatch.setattr("benchmarks.speed.trainers.find_spec", lambda name, found=found: found)
        assert (SBX in trainers()) == found


def test_work_is_counted_by_hand():
    trunks = 2 * (51 * 256 + 256 * 256)
    assert flops_per_step(shared_settings("fast")) == 2 * (trunks + 256 * 1000 + 256) * (1 + 3 * 4)


def test_repeats_are_measured_in_turn(settings, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.training.REPEAT_FLOPS", 1.0)
    timings, products = measure([FAST, TIED], settings, 2)
    assert [len(timing.repeats) for timing in timings.values()] == [2, 2]
    assert set(products) == {"float32", "bf16"}
    for timing in timings.values():
        assert 0 < timing.median("collecting") < 1
        assert timing.head > 0


def test_the_median_counts():
    timings = Timings(1.0, None, [RepeatTiming(rate, 2 * rate, 0.5) for rate in (1.0, 9.0, 2.0)])
    assert (timings.median("cpu_rate"), timings.median("rate")) == (2.0, 4.0)


def test_with_all_cores_each_trainer_uses_the_threads_of_its_default(settings, monkeypatch):
    counts = []

    @contextmanager
    def recorded(count):
        counts.append(count)
        yield

    monkeypatch.setattr("benchmarks.speed.training.REPEAT_FLOPS", 1.0)
    monkeypatch.setattr("benchmarks.speed.training.threads_in_use", recorded)
    monkeypatch.setattr("benchmarks.speed.training.thread_count", lambda: 1)
    with threads_in_use(8):
        measure([STOCK_LOOP, FAST], settings, 1)
    assert counts == [8, 1, 8, 1]  # a first rollout each, and a repeat each


def test_a_larger_vocabulary_is_measured(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.training.REPEAT_FLOPS", 1.0)
    started = time.process_time()
    settings = shared_settings("fast", vocab_size=64)
    rate, share, memory = measure_growth(FAST, settings, Dynamics(settings.env).language, 1)
    seconds = time.process_time() - started
    assert rate > rollout_steps(shared_settings("fast")) / seconds  # a rollout is a part of what was done
    assert 0 < share < 2
    assert memory == pytest.approx(peak_memory_mb(), rel=0.05)


def test_every_cell_is_measured_in_a_process_of_its_own(monkeypatch):
    refused = {"a": "", "b": "", "c": "there is no such processor"}
    trainers = [SimpleNamespace(name=name, products=SimpleNamespace(refused=why)) for name, why in refused.items()]
    monkeypatch.setattr("benchmarks.speed.training.GROWTH_TRAINERS", trainers)
    monkeypatch.setattr("benchmarks.speed.training.GROWTH_VOCABULARIES", (7000,))
    monkeypatch.setattr("benchmarks.speed.training.measure_growth", cell_with_its_process)
    tokens, *cells = ([*column.cells] for column in growth_table(3).columns)
    assert tokens == ["7,000"]
    assert cells[:2] == cells[3:5] == [["21,000"], ["50%"]]
    assert len(cells) == 6  # what cannot be measured here has no columns
    assert len({cells[2][0], cells[5][0], f"{os.getpid():,}"}) == 3
