"""Three environments with a known answer, each of which one thing alone can get wrong.

Every algorithm must solve each of them. Learning rate, discount and reward order are the usual suspects.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Probe(gymnasium.Env[np.ndarray, int]):
    """An environment of few steps over two observations and four actions."""

    action_space = spaces.Discrete(4)
    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    best: float  # the best expected return
    length = 1

    def __init__(self) -> None:
        self.prompt = 0
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.prompt, self.steps = int(self.np_random.integers(2)), 0
        return self.observe(), {}

    def observe(self) -> np.ndarray:
        return np.array([2.0 * self.prompt - 1.0, self.steps / self.length], dtype=np.float32)

    def step(self, action: int):
        self.steps += 1
        done = self.steps == self.length
        return self.observe(), self.pay(int(action), done), done, False, {}

    def pay(self, action: int, done: bool) -> float:
        raise NotImplementedError

    def action_masks(self) -> np.ndarray:
        return np.ones(4, dtype=bool)


class TwoPrompts(Probe):
    """The reward is the prompt: the value must tell prompts apart."""

    best = 0.5

    def pay(self, action: int, done: bool) -> float:
        return float(self.prompt)


class DelayedReward(Probe):
    """The reward comes two steps later: the value must be discounted back."""

    best, length = 1.0, 3

    def pay(self, action: int, done: bool) -> float:
        return float(done)


class ActionTimesPrompt(Probe):
    """Which action pays depends on the prompt: the policy must look."""

    best = 1.0

    def pay(self, action: int, done: bool) -> float:
        return float(action == 1 + 2 * self.prompt)


PROBES = (TwoPrompts, DelayedReward, ActionTimesPrompt)
