"""Train SB3's PPO on your own environment with thousands of actions, with SB3's policy and the fast one.

Shows a Gymnasium environment with a large `Discrete` action space, `agents.FastActorCriticPolicy`, and a model that is
saved and loaded:

    python -m examples.own_environment
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from agents import FastActorCriticPolicy

TASTES = 8  # numbers that describe a visitor or an item
VISITORS = 20  # visitors per episode


class Shop(gymnasium.Env[NDArray[np.float32], int]):
    """Show each visitor one of thousands of items; the reward is the cosine of their taste and the item."""

    def __init__(self, items: int = 3_000) -> None:
        vectors = np.random.default_rng(0).normal(size=(items, TASTES))
        self.items = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.action_space = spaces.Discrete(items)
        self.observation_space = spaces.Box(-1.0, 1.0, (TASTES,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        self.left = VISITORS
        return self._visitor(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Show an item; the next visitor comes."""
        reward = float(self.items[action] @ self.taste)
        self.left -= 1
        return self._visitor(), reward, self.left == 0, False, {}

    def _visitor(self) -> NDArray[np.float32]:
        taste = self.np_random.normal(size=TASTES)
        self.taste = taste / np.linalg.norm(taste)
        return self.taste.astype(np.float32)


def main(items: int = 3_000, steps: int = 4_096) -> dict[str, float]:
    """Print speed and mean reward per visitor of both policies, and return the rewards by name."""
    rewards: dict[str, float] = {}
    for name, policy in {"MlpPolicy": "MlpPolicy", "FastActorCriticPolicy": FastActorCriticPolicy}.items():
        env = make_vec_env(lambda: Shop(items), n_envs=16, seed=0)
        model = PPO(
            policy, env, n_steps=32, batch_size=128, n_epochs=4, learning_rate=1e-3, gamma=0.0, seed=0, device="cpu"
        )
        started = time.process_time()
        model.learn(steps)
        speed = steps / (time.process_time() - started)
        with tempfile.TemporaryDirectory() as directory:
            model.save(Path(directory) / "model")
            loaded = PPO.load(Path(directory) / "model", device="cpu")
        env.seed(1)
        episode, _ = evaluate_policy(loaded, env, n_eval_episodes=32)
        rewards[name] = float(np.mean(episode)) / VISITORS
        print(f"{name:22} {speed:6,.0f} steps per CPU second   mean reward {rewards[name]:+.2f}")
    return rewards


if __name__ == "__main__":
    torch.set_num_threads(1)  # the speeds are those of one core
    main()
