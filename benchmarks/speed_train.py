"""Measure how fast PPO trains on one core: Stable-Baselines3 as it comes, on our batch, and with our heads.

All do the same work: 64 environments, 32 steps a rollout, minibatches of 1,024, 4 epochs, separate networks of two
layers for policy and value. The roofline is the time that the matrix products alone would take at the speed that one
of the sizes of an update is multiplied with here and now.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.policies import FUSED_ADAM, FastActorCriticPolicy
from agents.vec_env import TokenVecEnv
from token_env import SIZES
from token_env.dynamics import Dynamics
from token_env.env import TokenEnv
from token_env.task import Task

HIDDEN = {"fast": 256, "stable": 512}
NUM_ENVS, N_STEPS, BATCH_SIZE, N_EPOCHS = 64, 32, 1024, 4
ROLLOUT = NUM_ENVS * N_STEPS
ROLLOUTS = {"fast": 6, "stable": 2}  # in a repeat


class TimedPPO(PPO):
    """PPO that tells how much processor time collecting has taken."""

    collecting = 0.0  # seconds

    def collect_rollouts(self, *args: Any, **keywords: Any) -> bool:
        """See SB3."""
        started = time.process_time()
        went_on = super().collect_rollouts(*args, **keywords)
        self.collecting += time.process_time() - started
        return went_on


class Trainer(NamedTuple):
    """A way to train."""

    name: str
    env: Callable[[str], VecEnv]  # from a size
    policy: Any
    policy_keywords: dict[str, Any]


class Measured(NamedTuple):
    """What a repeat took."""

    rate: float  # steps per CPU second
    collecting: float  # share of the time


def _loop_env(size: str) -> VecEnv:
    return DummyVecEnv([lambda: TokenEnv(**SIZES[size])] * NUM_ENVS)


def _batch_env(size: str) -> VecEnv:
    return TokenVecEnv(NUM_ENVS, **SIZES[size])


TRAINERS = (
    Trainer("SB3, DummyVecEnv", _loop_env, "MlpPolicy", {}),
    Trainer("SB3, our VecEnv", _batch_env, "MlpPolicy", {}),
    Trainer("fast heads", _batch_env, FastActorCriticPolicy, FUSED_ADAM),
)


def speed_table(repeats: int) -> Table:
    """Steps per second of processor time, medians of interleaved repeats, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = {(trainer, size): trial for size in HIDDEN for trainer, trial in _measure(size, repeats).items()}
        roofline = {size: _products_per_second(size) / _work(size) for size in HIDDEN}
    finally:
        torch.set_num_threads(threads)
    table = Table(title=f"PPO, steps per CPU second, medians of {repeats}", title_justify="left")
    table.add_column("trainer")
    for size in HIDDEN:
        for heading in (size, "ratio", "of the roofline", "collecting"):
            table.add_column(heading, justify="right")
    for trainer in TRAINERS:
        cells: list[str] = []
        for size in HIDDEN:
            first = median(one.rate for one in measured[TRAINERS[0].name, size])
            rate = median(one.rate for one in measured[trainer.name, size])
            share = median(one.collecting for one in measured[trainer.name, size])
            cells += [f"{rate:,.0f}", f"{rate / first:.2f}", f"{rate / roofline[size]:.0%}", f"{share:.0%}"]
        table.add_row(trainer.name, *cells)
    return table


def _measure(size: str, repeats: int) -> dict[str, list[Measured]]:
    models = {trainer.name: _model(trainer, size) for trainer in TRAINERS}
    for model in models.values():
        model.learn(ROLLOUT)  # what is made once is not measured
    measured: dict[str, list[Measured]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            model.collecting, started = 0.0, time.process_time()
            model.learn(ROLLOUT * ROLLOUTS[size], reset_num_timesteps=False)
            taken = time.process_time() - started
            measured[name].append(Measured(ROLLOUT * ROLLOUTS[size] / taken, model.collecting / taken))
    return measured


def _model(trainer: Trainer, size: str) -> TimedPPO:
    return TimedPPO(
        trainer.policy,
        trainer.env(size),
        n_steps=N_STEPS,
        batch_size=BATCH_SIZE,
        n_epochs=N_EPOCHS,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [HIDDEN[size]] * 2, **trainer.policy_keywords},
    )


def _work(size: str) -> float:
    """Floating-point operations of the matrix products for one step: forward once, and forward and backward 4 times."""
    inputs, hidden = len(Dynamics(Task(**SIZES[size])).observation_bounds[0]), HIDDEN[size]
    trunks = 2 * (inputs * hidden + hidden * hidden)
    return 2.0 * (trunks + hidden * SIZES[size]["vocab_size"] + hidden) * (1 + 3 * N_EPOCHS)


def _products_per_second(size: str) -> float:
    """Floating-point operations a second of the largest product of an update, the best of some."""
    hidden, vocab_size = HIDDEN[size], SIZES[size]["vocab_size"]
    left, right = torch.randn(BATCH_SIZE, hidden), torch.randn(vocab_size, hidden)
    seconds = []
    for _ in range(10):
        started = time.process_time()
        _ = left @ right.T
        seconds.append(time.process_time() - started)
    return 2.0 * BATCH_SIZE * hidden * vocab_size / min(seconds)
