"""Train Stable-Baselines3's PPO without the package `agents`, and compare it with the reference policies.

Shows the environment with `make_vec_env` and `PPO`, and `token_env.evaluate`, which plays any function from
observations to tokens on the same held-out problems:

    python -m examples.stock_sb3
"""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from token_env import REFERENCES, Task, evaluate

VOCAB_SIZE = 200


def main(steps: int = 24_000, problems: int = 200) -> dict[str, float]:
    """Print mean returns on held-out problems, and return them by name."""
    env = make_vec_env("token_env:TokenTask-v0", n_envs=8, seed=0, env_kwargs={"vocab_size": VOCAB_SIZE})
    model = PPO("MlpPolicy", env, n_steps=128, batch_size=256, learning_rate=1e-3, gamma=0.5, seed=0, device="cpu")
    held_out = Task(vocab_size=VOCAB_SIZE, split="test")

    def act(observations: NDArray[np.float32]) -> NDArray[np.int64]:
        return model.predict(observations, deterministic=True)[0]

    means = {"PPO, untrained": evaluate(act, range(problems), task=held_out).mean_return}
    model.learn(steps)
    means["PPO, trained"] = evaluate(act, range(problems), task=held_out).mean_return
    means |= {name: evaluate(policy, range(problems), task=held_out).mean_return for name, policy in REFERENCES.items()}
    for name, mean in means.items():
        print(f"{name:14} {mean:+8.2f}")
    env.close()
    return means


if __name__ == "__main__":
    main()
