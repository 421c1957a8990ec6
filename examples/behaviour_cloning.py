"""Clone a policy from a dataset of its episodes into a Stable-Baselines3 policy, and compare the clone with PPO.

Shows how to read a dataset with Minari and to recover its environment. DIR is a folder that
`python -m token_env.episodes lookahead --size tiny --problems 1000 --out DIR` wrote; without it, it is written first:

    python -m examples.behaviour_cloning [DIR]
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import minari
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from token_env import REFERENCES, SIZES, Task, evaluate, write_episodes


def clone(model: PPO, dataset: minari.MinariDataset, epochs: int) -> None:
    """Train the policy of a model to choose the actions of a dataset."""
    observations = torch.as_tensor(np.concatenate([episode.observations[:-1] for episode in dataset]))
    actions = torch.as_tensor(np.concatenate([episode.actions for episode in dataset]))
    optimizer = torch.optim.Adam(model.policy.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(actions)).split(256):
            _, log_probs, _ = model.policy.evaluate_actions(observations[rows], actions[rows])
            optimizer.zero_grad()
            (-log_probs.mean()).backward()
            optimizer.step()


def main(folder: str | None = None, episodes: int = 1_000, epochs: int = 15, problems: int = 200) -> dict[str, float]:
    """Print scores on held-out problems, and return them by name."""
    if folder is None:
        with tempfile.TemporaryDirectory() as parent:
            path = Path(parent) / "lookahead-v0"
            write_episodes(REFERENCES["lookahead"], range(episodes), path, task=Task(**SIZES["tiny"]))
            return main(str(path), epochs=epochs, problems=problems)
    dataset = minari.MinariDataset(f"{folder}/data")
    env = make_vec_env(dataset.recover_environment, n_envs=8, seed=0)
    settings = {"n_steps": 128, "batch_size": 256, "learning_rate": 1e-3, "gamma": 0.5, "seed": 0, "device": "cpu"}
    cloned, trained = (PPO("MlpPolicy", env, **settings) for _ in range(2))
    clone(cloned, dataset, epochs)
    trained.learn(dataset.total_steps)
    task = dataclasses.replace(dataset.recover_environment().unwrapped.task, split="test", optimum=True)
    policies = {
        "clone": lambda seen: cloned.predict(seen, deterministic=True)[0],
        "PPO": lambda seen: trained.predict(seen, deterministic=True)[0],
        "lookahead": REFERENCES["lookahead"],
    }
    scores = {name: evaluate(policy, range(problems), task=task).score for name, policy in policies.items()}
    print(f"{dataset.total_episodes:,} episodes; score on {problems} held-out problems")
    for name, score in scores.items():
        print(f"{name:10} {score:.3f}")
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:2])
