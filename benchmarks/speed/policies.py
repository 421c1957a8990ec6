"""Measure the fast policies beside those of SB3 and sb3-contrib on an environment that is not TokenTask.

Both train with the same hyper-parameters: the libraries' defaults, but 8 environments and 32 steps per rollout (A2C:
its default, 5). TRPO is left out: it takes long, and as long with either policy (docs/guides/policies.md).
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from rich.table import Table
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.algorithms.mask_buffer import PackedMaskBuffer
from agents.machine.provenance import processor
from agents.machine.threads import threads_in_use
from agents.policies.actor_critic import (
    FastActorCriticPolicy,
    FastMaskableActorCriticPolicy,
    FastRecurrentActorCriticPolicy,
)

ACTIONS = (1_000, 5_000, 20_000)
ENVIRONMENTS, STEPS = 8, 32  # STEPS per environment and rollout
WORK = 1_250_000  # steps × actions per repeat, at least one rollout
LIBRARIES = ("torch", "stable-baselines3", "sb3-contrib")


class Catalogue(gymnasium.Env[NDArray[np.float32], int]):
    """Show one of V items to a visitor of 16 numbers; all answers come from tables, so that a step costs little.

    The reward is 1 for an item of the visitor's kind. An episode has 16 visitors. Masks allow half of the items.

    Args:
        items: Number of items, V.
    """

    kinds, episode_steps, visitors = 10, 16, 500

    def __init__(self, items: int) -> None:
        generator = np.random.default_rng(0)
        self.action_space = spaces.Discrete(items)  # type: ignore[assignment]
        self.observation_space = spaces.Box(-1.0, 1.0, (16,))
        self._tastes = generator.uniform(-1.0, 1.0, (self.visitors, 16)).astype(np.float32)
        self._in_stock = generator.random((self.kinds, items)) < 0.5
        self._visitor, self._steps = 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode with a random visitor."""
        super().reset(seed=seed, options=options)
        self._visitor, self._steps = int(self.np_random.integers(self.visitors)), 0
        return self._tastes[self._visitor], {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Show an item; the next visitor comes."""
        reward = float(action % self.kinds == self._visitor % self.kinds)
        self._visitor, self._steps = (self._visitor + 1) % self.visitors, self._steps + 1
        return self._tastes[self._visitor], reward, self._steps == self.episode_steps, False, {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the items in stock, bool [V]."""
        return self._in_stock[self._visitor % self.kinds]


class Pair(NamedTuple):
    """An algorithm with the policy of its library and the fast one."""

    algorithm: Callable[..., OnPolicyAlgorithm]
    stock: str
    fast: type[BasePolicy]
    n_steps: int = STEPS
    fast_buffer: type[RolloutBuffer] | None = None  # used with the fast policy; None for the algorithm's own

    @property
    def name(self) -> str:
        """Name of the algorithm's class."""
        return str(self.algorithm.__name__)

    def build(self, actions: int, fast: bool) -> OnPolicyAlgorithm:
        """Build an untrained model on a catalogue of this many items."""
        env = DummyVecEnv([lambda: Catalogue(actions)] * ENVIRONMENTS)
        keywords = {"rollout_buffer_class": self.fast_buffer} if fast and self.fast_buffer else {}
        policy = self.fast if fast else self.stock
        return self.algorithm(policy, env, n_steps=self.n_steps, seed=0, device="cpu", **keywords)


PAIRS = (
    Pair(PPO, "MlpPolicy", FastActorCriticPolicy),
    Pair(A2C, "MlpPolicy", FastActorCriticPolicy, n_steps=5),
    Pair(MaskablePPO, "MlpPolicy", FastMaskableActorCriticPolicy, fast_buffer=PackedMaskBuffer),
    Pair(RecurrentPPO, "MlpLstmPolicy", FastRecurrentActorCriticPolicy),
)


def speed_table(repeats: int) -> Table:
    """Build the table of steps per CPU second by number of actions and algorithm: medians of interleaved repeats."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    table = Table(
        title=f"training, steps per CPU second, medians of {repeats}",
        title_justify="left",
        caption=f"{processor()}, one thread; {libraries}.\n{ENVIRONMENTS} environments, {STEPS} steps per rollout "
        "(A2C: 5), otherwise the libraries' defaults.",
        caption_justify="left",
    )
    for heading in ("actions", "algorithm", "its own policy", "fast policy", "×"):
        table.add_column(heading, justify="left" if heading == "algorithm" else "right")
    with threads_in_use(1):
        for actions in ACTIONS:
            for pair, (stock, fast) in measure(actions, repeats).items():
                table.add_row(f"{actions:,}", pair.name, f"{stock:,.0f}", f"{fast:,.0f}", f"{fast / stock:.1f}")
            table.add_section()
    return table


def measure(actions: int, repeats: int) -> dict[Pair, tuple[float, float]]:
    """Measure the training speed of each pair, in steps per CPU second: with its own policy, with the fast one."""
    models = {(pair, fast): pair.build(actions, fast) for pair in PAIRS for fast in (False, True)}
    rates: dict[tuple[Pair, bool], list[float]] = {key: [] for key in models}
    for model in models.values():
        model.learn(1)  # a first rollout and update, as warm-up
    for _ in range(repeats):
        for key, model in models.items():
            rates[key].append(_rate(model, max(ENVIRONMENTS * STEPS, WORK // actions)))
    return {pair: (median(rates[pair, False]), median(rates[pair, True])) for pair in PAIRS}


def _rate(model: OnPolicyAlgorithm, steps: int) -> float:
    before, started = model.num_timesteps, time.process_time()
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.process_time() - started)
