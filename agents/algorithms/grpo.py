"""Learn from groups of answers to the same problem instead of from a value function: GRPO and RLOO on SB3's PPO.

The return of step t is the discounted sum of the rewards from t on. Its advantage is the return minus the mean over the
group at the same step. Shao et al., 2024 (arXiv:2402.03300) introduce this as GRPO with process supervision, and
Ahmadian et al., ACL 2024 (arXiv:2402.14740) the mean over the other answers as RLOO.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor

from token_env.errors import SettingError

EPSILON = 1e-8  # SB3's, added to the standard deviations of advantages


class GroupRolloutBuffer(RolloutBuffer):
    """SB3's rollout buffer with advantages relative to the group.

    Rows of a group are consecutive environments that play the same problems and end their episodes together.
    `values` becomes the baseline, so SB3's `explained_variance` is the share of the variance that the group explains.

    Args:
        *args: Arguments of `RolloutBuffer`.
        group_size: Number of environments in a group, G.
        leave_one_out: Whether the baseline of a row is the mean over the G - 1 other rows, instead of all G.
        scale: Whether to divide the advantages of each group's steps by their standard deviation.
        **keywords: Other arguments of `RolloutBuffer`; `gae_lambda` has no effect.

    Raises:
        SettingError: The environments are not a whole number of groups of at least 2.
    """

    def __init__(
        self, *args: Any, group_size: int, leave_one_out: bool = False, scale: bool = False, **keywords: Any
    ) -> None:
        super().__init__(*args, **keywords)
        if group_size < 2 or self.n_envs % group_size:
            raise SettingError(
                f"{self.n_envs} environments are not a whole number of groups of {group_size}; "
                "group_size is at least 2 and divides n_envs."
            )
        self.gae_lambda = 1.0  # so that returns contain all later rewards and no values
        self.group_size, self.leave_one_out, self.scale = group_size, leave_one_out, scale

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[np.bool_]) -> None:
        """Compute returns, baselines and advantages, [n_steps, N] each, from the rewards alone.

        Args:
            last_values: Values of the observations after the rollout, [N]; they end unfinished episodes.
            dones: Whether the last step ended an episode, [N].
        """
        super().compute_returns_and_advantage(last_values, dones)
        self.advantages, self.values = relative_advantages(
            self.returns, self.group_size, self.leave_one_out, self.scale
        )


def relative_advantages(returns: Any, group_size: int, leave_one_out: bool, scale: bool) -> tuple[Any, Any]:
    """Return advantages and baselines, [n_steps, N] each, of returns [n_steps, N]: arrays, or tensors.

    Args:
        returns: Discounted sums of the rewards from each step on.
        group_size: Number of consecutive columns that form a group, G.
        leave_one_out: Whether the baseline of a column is the mean over the G - 1 others, instead of all G.
        scale: Whether to divide the advantages of each group by their standard deviation.
    """
    groups = returns.reshape(len(returns), -1, group_size)
    advantages = groups - groups.mean(axis=2, keepdims=True)
    if leave_one_out:
        advantages = advantages * (group_size / (group_size - 1))
    baselines = groups - advantages
    if scale:
        deviation = advantages - advantages.mean(axis=(0, 2), keepdims=True)
        advantages = advantages / ((deviation**2).mean(axis=(0, 2), keepdims=True) ** 0.5 + EPSILON)
    return advantages.reshape(returns.shape), baselines.reshape(returns.shape)


class GRPO(PPO):
    """PPO with advantages relative to groups and without a value function.

    Args:
        policy: Policy class. `FastActorPolicy` and `TiedActorPolicy` do not compute the values, which are not used.
        env: Environments of which each `group_size` consecutive ones play the same problems and end together, such as
            `TokenVecEnv(40, group_size=8)`.
        group_size: Number of environments in a group.
        baseline: "mean" of all rows of the group (GRPO), or "leave_one_out" (RLOO).
        scale_advantage: By what standard deviation the advantages are divided: that of the "minibatch" (as PPO does),
            that of the "group", or "none".
        rollout_buffer_class: Class of the rollout buffer, with the arguments of `GroupRolloutBuffer`.
        **keywords: Other arguments of `PPO`, except `gae_lambda`, `vf_coef`, `normalize_advantage` and
            `rollout_buffer_kwargs`.
    """

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        group_size: int = 8,
        baseline: str = "mean",
        scale_advantage: str = "minibatch",
        rollout_buffer_class: type[RolloutBuffer] = GroupRolloutBuffer,
        **keywords: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            gae_lambda=1.0,
            vf_coef=0.0,
            normalize_advantage=scale_advantage == "minibatch",
            rollout_buffer_class=rollout_buffer_class,
            rollout_buffer_kwargs={
                "group_size": group_size,
                "leave_one_out": baseline == "leave_one_out",
                "scale": scale_advantage == "group",
            },
            **keywords,
        )
