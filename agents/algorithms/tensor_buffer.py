"""Keep rollouts as tensors on the policy's device: SB3's rollout buffers, without copies to the host and back."""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sb3_contrib.common.maskable.buffers import MaskableRolloutBufferSamples
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from agents.algorithms.grpo import relative_advantages

# Columns of a minibatch, in the order of `RolloutBufferSamples`.
COLUMNS = ("observations", "actions", "values", "log_probs", "advantages", "returns")
FLOATS = ("rewards", "episode_starts", "values", "log_probs", "advantages", "returns")  # float32 [n_steps, N] each


class TensorRolloutBuffer(RolloutBuffer):
    """SB3's rollout buffer with its numbers, whose arrays are tensors on the policy's device.

    `observations`, `actions`, `values` and `returns` copy to the host what SB3 and its callbacks read there.

    Attributes:
        tensors: The arrays by SB3's names, [n_steps, N, …], or [n_steps × N, …] once minibatches are drawn.
    """

    def reset(self) -> None:
        """Empty the buffer."""
        shape, device = (self.buffer_size, self.n_envs), self.device
        kinds = {"observations": self.observation_space, "actions": self.action_space}
        sizes = {"observations": self.obs_shape, "actions": (self.action_dim,)}
        self.tensors: dict[str, Tensor] = {
            name: torch.zeros(*shape, *sizes[name], dtype=_dtype(space), device=device) for name, space in kinds.items()
        }
        self.tensors |= {name: torch.zeros(*shape, device=device) for name in FLOATS}
        self.pos, self.full, self.generator_ready = 0, False, False

    def add(
        self,
        obs: ArrayLike | Tensor,
        action: ArrayLike | Tensor,
        reward: ArrayLike | Tensor,
        episode_start: ArrayLike | Tensor,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Add one step of each environment; arrays [N, …], or tensors on any device."""
        columns = {
            "observations": obs,
            "actions": action,
            "rewards": reward,
            "episode_starts": episode_start,
            "values": value,
            "log_probs": log_prob,
        }
        for name, column in columns.items():
            row = self.tensors[name][self.pos]
            row.copy_(torch.as_tensor(column).reshape(row.shape))
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[np.bool_]) -> None:
        """Compute advantages and returns as SB3 does, [n_steps, N] each.

        Args:
            last_values: Values of the observations after the rollout, [N].
            dones: Whether the last step ended an episode, [N].
        """
        rewards, values, starts = (self.tensors[name] for name in ("rewards", "values", "episode_starts"))
        continues = 1.0 - torch.as_tensor(dones, dtype=torch.float32).to(self.device)
        next_values, advantage = last_values.flatten(), torch.zeros_like(rewards[0])
        for step in reversed(range(self.buffer_size)):
            delta = rewards[step] + self.gamma * next_values * continues - values[step]
            advantage = delta + self.gamma * self.gae_lambda * continues * advantage
            self.tensors["advantages"][step] = advantage
            continues, next_values = 1.0 - starts[step], values[step]
        self.tensors["returns"] = self.tensors["advantages"] + values

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield the steps in random order, in minibatches of this size; None for a single one."""
        assert self.full, "a rollout is sampled once it is complete"
        size = self.buffer_size * self.n_envs
        if not self.generator_ready:
            self.tensors = {name: tensor.swapaxes(0, 1).flatten(0, 1) for name, tensor in self.tensors.items()}
            self.generator_ready = True
        order = torch.from_numpy(np.random.permutation(size)).to(self.device)  # noqa: NPY002  # the order of SB3
        for rows in torch.split(order, batch_size or size):
            yield self._minibatch(rows)

    def _minibatch(self, rows: Tensor) -> Any:
        return RolloutBufferSamples(*self._columns(rows))

    def _columns(self, rows: Tensor) -> Any:
        observations, actions, *others = (self.tensors[name].index_select(0, rows) for name in COLUMNS)
        return [observations, actions, *others]

    def _on_host(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self.tensors[name].cpu().numpy()
        return array

    @property
    def observations(self) -> NDArray[Any]:  # type: ignore[override]  # SB3 has attributes
        """Observations, [n_steps, N, D]."""
        return self._on_host("observations")

    @property
    def actions(self) -> NDArray[np.int64]:  # type: ignore[override]
        """Token ids, [n_steps, N, 1]."""
        return self._on_host("actions")

    @property
    def values(self) -> NDArray[np.float32]:  # type: ignore[override]
        """Values, [n_steps, N]."""
        return self._on_host("values")

    @property
    def returns(self) -> NDArray[np.float32]:  # type: ignore[override]
        """Returns, [n_steps, N]."""
        return self._on_host("returns")


class MaskableTensorBuffer(TensorRolloutBuffer):
    """The same with action masks, for MaskablePPO."""

    def reset(self) -> None:
        """Empty the buffer."""
        super().reset()
        shape = self.buffer_size, self.n_envs, int(self.action_space.n)  # type: ignore[attr-defined]  # of Discrete
        self.tensors["action_masks"] = torch.ones(*shape, dtype=torch.bool, device=self.device)

    def add(self, *args: Any, action_masks: ArrayLike | Tensor | None = None, **keywords: Any) -> None:
        """Add one step of each environment, with its action masks, bool [N, V]; None allows every action."""
        if action_masks is not None:
            self.tensors["action_masks"][self.pos] = torch.as_tensor(action_masks)
        super().add(*args, **keywords)

    def _minibatch(self, rows: Tensor) -> MaskableRolloutBufferSamples:
        masks = self.tensors["action_masks"].index_select(0, rows)
        return MaskableRolloutBufferSamples(*self._columns(rows), masks)  # type: ignore[call-arg]


class GroupTensorBuffer(TensorRolloutBuffer):
    """The same with advantages relative to groups, for GRPO; arguments as those of `GroupRolloutBuffer`."""

    def __init__(self, *args: Any, group_size: int, leave_one_out: bool = False, scale: bool = False, **keywords: Any):
        super().__init__(*args, **keywords)
        self.gae_lambda = 1.0
        self.group_size, self.leave_one_out, self.scale = group_size, leave_one_out, scale

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[np.bool_]) -> None:
        """Compute returns, baselines and advantages, [n_steps, N] each, from the rewards alone."""
        super().compute_returns_and_advantage(last_values, dones)
        returns = self.tensors["returns"]
        self.tensors["advantages"], self.tensors["values"] = relative_advantages(
            returns, self.group_size, self.leave_one_out, self.scale
        )


def _dtype(space: Any) -> torch.dtype:
    """Return torch's dtype of the numbers of a space."""
    return torch.from_numpy(np.zeros(0, dtype=space.dtype)).dtype
