"""Plan with Monte-Carlo rollouts from a state of the environment, to which every rollout comes back.

Shows `state` and `restore`. The planner tries every fluent token, says random fluent tokens after it, and takes the
token with the best mean; it is compared with saying random fluent tokens:

    python -m examples.monte_carlo
"""

import gymnasium
import numpy as np

from token_env.env import TokenEnv


def plan(env: TokenEnv, generator: np.random.Generator, rollouts: int, depth: int) -> int:
    """Return the fluent token whose rollouts of at most `depth` steps have the best mean return."""
    state = env.state
    tokens = np.flatnonzero(env.action_masks())
    means = []
    for first in tokens:
        returns = np.zeros(rollouts)
        for rollout in range(rollouts):
            env.restore(state)
            token, steps, terminated = first, 0, False
            while steps < depth and not terminated:
                _, reward, terminated, _, _ = env.step(token)
                returns[rollout] += reward
                token, steps = generator.choice(np.flatnonzero(env.action_masks())), steps + 1
        means.append(returns.mean())
    env.restore(state)
    return int(tokens[np.argmax(means)])


def main(problems: int = 20, rollouts: int = 4, depth: int = 2) -> dict[str, float]:
    """Print the mean score of each way to play on held-out problems, and return them by name."""
    env = gymnasium.make("token_env:TokenTask-Tiny-v0", split="test", optimum=True).unwrapped
    generator, scores = np.random.default_rng(0), {}
    for name, count in (("random fluent tokens", 0), ("Monte-Carlo planning", rollouts)):
        returns, optima = [], []
        for problem_id in range(problems):
            env.reset(options={"problem_id": problem_id})
            total, terminated = 0.0, False
            while not terminated:
                fluent = np.flatnonzero(env.action_masks())
                token = plan(env, generator, count, depth) if count else generator.choice(fluent)
                _, reward, terminated, _, info = env.step(token)
                total += reward
            returns.append(total)
            optima.append(info["optimal_return"])
        scores[name] = sum(returns) / sum(optima)
        print(f"{name}: score {scores[name]:.3f} on {problems} problems")
    return scores


if __name__ == "__main__":
    main()
