"""Play episodes in a plain Gymnasium loop, first with any random tokens, then with random fluent tokens.

Shows `gymnasium.make`, `reset`, `step`, the contents of `info`, and action masks. Needs only the environment:

    python -m examples.plain_loop
"""

import gymnasium
import numpy as np

import token_env  # noqa: F401  # registers the environment


def main(episodes: int = 20) -> dict[str, float]:
    """Print an episode and the mean return of each way to play, and return the means by name."""
    env = gymnasium.make("TokenTask-v0", render_mode="ansi")
    env.action_space.seed(0)
    means = {}
    for name, masked in (("any token", False), ("fluent tokens", True)):
        returns = np.zeros(episodes)
        for episode in range(episodes):
            env.reset(options={"problem_id": episode})
            done = False
            while not done:
                mask = env.get_wrapper_attr("action_masks")().astype(np.int8) if masked else None
                _, _, terminated, truncated, info = env.step(env.action_space.sample(mask))
                returns[episode] += info["adequacy"] - info["fluency_penalty"]
                done = terminated or truncated
        means[name] = float(returns.mean())
        print(f"{env.render()}\n{name}: mean return of {episodes} episodes {means[name]:+.2f}\n")
    env.close()
    return means


if __name__ == "__main__":
    main()
