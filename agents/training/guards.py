"""Stop a training at the first invalid value or action, and report its environment and step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from agents.runs.weights import first_nonfinite
from token_env.errors import SettingError

MAX_MAGNITUDE = 1e6  # far above every reward and observation of the task


class TrainingError(SettingError):
    """The training cannot continue."""


class CheckedVecEnv(VecEnvWrapper):
    """Reject invalid actions and non-finite or huge observations and rewards.

    Args:
        venv: Environments to check.
        masked: Whether the policy obeys action masks; then actions are checked against the last masks.

    Attributes:
        steps: Total steps of all environments, as SB3's `num_timesteps`.
    """

    def __init__(self, venv: VecEnv, masked: bool = False) -> None:
        super().__init__(venv)
        self.steps = 0
        self._masked = masked
        self._masks: list[NDArray[np.bool_]] | None = None  # masks requested since the last step, bool [V] each

    def reset(self) -> Any:
        """Start the next problem in every row and return the observations, float32 [N, columns].

        Raises:
            TrainingError: An observation is not finite, or is huge.
        """
        self._masks = None
        return self._check_values("observation", self.venv.reset())

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of every environment and return the results; store action masks for checking actions."""
        results = self.venv.env_method(method_name, *args, indices=indices, **kwargs)
        if self._masked and method_name == "action_masks" and indices is None:
            self._masks = results
        return results

    def step_async(self, actions: NDArray[Any]) -> None:
        """Check the actions, int [N], and pass them to the environments.

        Raises:
            TrainingError: An action is not a token, or its mask forbids it.
        """
        self._check_actions(np.asarray(actions))
        self.venv.step_async(actions)

    def _check_actions(self, actions: NDArray[Any]) -> None:
        size = int(self.action_space.n)  # type: ignore[attr-defined]  # of Discrete
        invalid = ~((actions >= 0) & (actions < size))
        reason = f"the valid tokens are 0 … {size - 1}"
        if not invalid.any() and self._masks is not None:
            invalid = ~np.array([mask[action] for mask, action in zip(self._masks, actions, strict=True)])
            reason = "its mask forbids that token"
        if invalid.any():
            row = int(np.flatnonzero(invalid)[0])
            raise TrainingError(f"environment {row}, step {self.steps}: action {actions[row]}, but {reason}.")
        self._masks = None

    def step_wait(self) -> VecEnvStepReturn:
        """Return observations float32 [N, columns], rewards float32 [N], dones bool [N] and N infos of the step.

        Raises:
            TrainingError: An observation or reward is not finite, or is huge.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        self._check_values("reward", rewards)
        self._check_values("observation", observations)
        self.steps += self.num_envs
        return observations, rewards, dones, infos

    def _check_values(self, kind: str, values: Any) -> Any:
        if not np.abs(values).max() <= MAX_MAGNITUDE:  # `not <=` also catches NaN
            rows = np.asarray(values).reshape(self.num_envs, -1)
            row, column = np.argwhere(~(np.abs(rows) <= MAX_MAGNITUDE))[0]
            place = f" (column {column})" if kind == "observation" else ""
            raise TrainingError(f"environment {row}, step {self.steps}: {kind} {rows[row, column]}{place}.")
        return values


class UpdateGuard(BaseCallback):
    """Check every policy update for finite losses, gradients and weights; list it before `Recorder` and `Saver`.

    Raises:
        TrainingError: A loss, the gradient norm or a weight is not finite.
    """

    def __init__(self) -> None:
        super().__init__()
        self._updates = -1  # SB3's update count at the last check

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self._updates = self._update_count()

    def _on_rollout_start(self) -> None:
        self._check_update()

    def _on_training_end(self) -> None:
        self._check_update()

    def _update_count(self) -> int:
        return int(getattr(self.model, "_n_updates", 0))

    def _check_update(self) -> None:
        if self._update_count() == self._updates:
            return
        self._updates = self._update_count()
        names = ("policy_gradient_loss", "policy_loss", "policy_objective", "value_loss", "entropy_loss", "loss")
        logged = {name: self.logger.name_to_value.get(f"train/{name}", 0.0) for name in names}
        for name, value in (logged | {"gradient norm": global_norm(gradients(self.model.policy))}).items():
            if not np.isfinite(value):
                raise TrainingError(f"the update after step {self.num_timesteps}: {name} {value}.")
        weights = dict(self.model.policy.named_parameters())
        if not np.isfinite(global_norm(list(weights.values()))):
            check_weights(weights)


def gradients(policy: BasePolicy) -> list[torch.Tensor]:
    """Return the gradients of the last minibatch, one tensor per parameter in its shape; after clipping, if any."""
    return [parameter.grad for parameter in policy.parameters() if parameter.grad is not None]


def global_norm(tensors: list[torch.Tensor]) -> float:
    """Return the Euclidean norm of all elements of all tensors; 0 without tensors."""
    return float(torch.stack([tensor.detach().norm() for tensor in tensors]).norm()) if tensors else 0.0


def check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    """Check that every weight is finite.

    Raises:
        TrainingError: A weight is not finite; the message names its tensor.
    """
    if bad := first_nonfinite(weights):
        raise TrainingError(f"the weights {bad[0]} contain {bad[1]}.")
