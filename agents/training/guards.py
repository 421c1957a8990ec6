"""Stop a training at the first bad number or action, and say where it was: in which environment, at which step."""

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

MAX_MAGNITUDE = 1e6  # no reward or observation of the task comes near it


class TrainingError(SettingError):
    """A training that cannot go on."""


class CheckedVecEnv(VecEnvWrapper):
    """Lets through what can be learned from: tokens that may be said, and finite observations and rewards.

    Args:
        venv: the batch.
        masked: whether who plays it keeps to the masks that it asked for.

    Attributes:
        steps: that all environments have made together; SB3's `num_timesteps`.
    """

    def __init__(self, venv: VecEnv, masked: bool = False) -> None:
        super().__init__(venv)
        self.steps = 0
        self._masked = masked
        self._masks: list[NDArray[np.bool_]] | None = None  # that were asked for since the last step

    def reset(self) -> Any:
        """Begin the next problem in every row."""
        self._masks = None
        return self._checked("observation", self.venv.reset())

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batch; masks that it gives are kept to see whether they are obeyed."""
        answers = self.venv.env_method(method_name, *args, indices=indices, **kwargs)
        if self._masked and method_name == "action_masks" and indices is None:
            self._masks = answers
        return answers

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions, [N].

        Raises:
            TrainingError: one is no token, or may not be said.
        """
        self._check_actions(np.asarray(actions))
        self.venv.step_async(actions)

    def _check_actions(self, actions: NDArray[Any]) -> None:
        size = int(self.action_space.n)  # type: ignore[attr-defined]  # of Discrete
        wrong = ~((actions >= 0) & (actions < size))
        reason = f"there are tokens 0 … {size - 1}"
        if not wrong.any() and self._masks is not None:
            wrong = ~np.array([mask[action] for mask, action in zip(self._masks, actions, strict=True)])
            reason = "its mask forbids that token"
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise TrainingError(f"environment {row}, step {self.steps}: action {actions[row]}, but {reason}.")
        self._masks = None

    def step_wait(self) -> VecEnvStepReturn:
        """What the step gave.

        Raises:
            TrainingError: an observation or a reward that is not finite, or absurdly large.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        self._checked("reward", rewards)
        self._checked("observation", observations)
        self.steps += self.num_envs
        return observations, rewards, dones, infos

    def _checked(self, kind: str, values: Any) -> Any:
        if not np.abs(values).max() <= MAX_MAGNITUDE:  # written so that NaN is caught, too
            rows = np.asarray(values).reshape(self.num_envs, -1)
            row, column = np.argwhere(~(np.abs(rows) <= MAX_MAGNITUDE))[0]
            place = f" (column {column})" if kind == "observation" else ""
            raise TrainingError(f"environment {row}, step {self.steps}: {kind} {rows[row, column]}{place}.")
        return values


class UpdateGuard(BaseCallback):
    """Looks at every update of the policy; put it before what records or saves.

    Raises:
        TrainingError: a loss, the gradient's norm or a weight is not finite.
    """

    def __init__(self) -> None:
        super().__init__()
        self._updates = -1  # SB3's count when it was looked at last

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self._updates = self._count()

    def _on_rollout_start(self) -> None:
        self._look()

    def _on_training_end(self) -> None:
        self._look()

    def _count(self) -> int:
        return int(getattr(self.model, "_n_updates", 0))

    def _look(self) -> None:
        if self._count() == self._updates:
            return
        self._updates = self._count()
        names = ("policy_gradient_loss", "policy_loss", "policy_objective", "value_loss", "entropy_loss", "loss")
        logged = {name: self.logger.name_to_value.get(f"train/{name}", 0.0) for name in names}
        for name, value in (logged | {"norm of the gradient": norm(gradients(self.model.policy))}).items():
            if not np.isfinite(value):
                raise TrainingError(f"the update after step {self.num_timesteps}: {name} {value}.")
        weights = dict(self.model.policy.named_parameters())
        if not np.isfinite(norm(list(weights.values()))):
            check_weights(weights)


def gradients(policy: BasePolicy) -> list[torch.Tensor]:
    """Of the last minibatch, as the optimizer saw them: clipped where the algorithm clips."""
    return [parameter.grad for parameter in policy.parameters() if parameter.grad is not None]


def norm(tensors: list[torch.Tensor]) -> float:
    """Euclidean, of all of them together."""
    return float(torch.stack([tensor.detach().norm() for tensor in tensors]).norm()) if tensors else 0.0


def check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    """Make sure that every weight is finite.

    Raises:
        TrainingError: one is not; the message names its tensor.
    """
    if bad := first_nonfinite(weights):
        raise TrainingError(f"the weights {bad[0]} hold {bad[1]}.")
