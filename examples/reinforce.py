"""Train a policy with REINFORCE in forty lines of torch, on a vector environment.

Shows `gymnasium.make_vec`, whose arrays form a batch. All rows terminate together, so an update uses one episode per
row; the baseline is the batch mean of the return-to-go at the same step (Williams, 1992):

    python -m examples.reinforce
"""

import gymnasium
import numpy as np
import torch
from torch import nn

import token_env  # noqa: F401  # registers the environment


def main(updates: int = 400, rows: int = 64, seed: int = 0) -> list[float]:
    """Train the policy, print its progress, and return the mean return of each update."""
    torch.manual_seed(seed)
    env = gymnasium.make_vec("TokenTask-Tiny-v0", num_envs=rows)
    size, tokens = env.single_observation_space.shape[0], int(env.single_action_space.n)
    policy = nn.Sequential(nn.Linear(size, 128), nn.Tanh(), nn.Linear(128, tokens))
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    env.reset(seed=seed)
    means = []
    for update in range(updates):
        observation, _ = env.reset()
        log_probs, rewards, done = [], [], False
        while not done:
            distribution = torch.distributions.Categorical(logits=policy(torch.as_tensor(observation)))
            action = distribution.sample()
            observation, reward, terminated, _, _ = env.step(action.numpy())
            log_probs.append(distribution.log_prob(action))
            rewards.append(reward)
            done = terminated.all()
        to_go = np.cumsum(rewards[::-1], axis=0)[::-1]  # [L, rows] return from each step to the end
        advantage = torch.as_tensor((to_go - to_go.mean(axis=1, keepdims=True)) / to_go.std(), dtype=torch.float32)
        loss = -(torch.stack(log_probs) * advantage).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        means.append(float(to_go[0].mean()))
        if update % (updates // 10 or 1) == 0 or update == updates - 1:
            print(f"update {update:4}: mean return {np.mean(means[-20:]):+.2f}")
    env.close()
    return means


if __name__ == "__main__":
    main()
