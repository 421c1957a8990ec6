"""Stop a training at the first invalid value or action, and report its environment and step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from agents.algorithms.rollouts import Episodes
from agents.runs.weights import first_nonfinite
from token_env.errors import SettingError

if TYPE_CHECKING:
    from agents.training.finish import Result

MAX_MAGNITUDE = 1e6  # far above every reward and observation of the task


class TrainingError(SettingError):
    """The training cannot continue."""


class DivergedError(TrainingError):
    """A loss, a gradient, a logit or a weight is not finite: the training has diverged.

    Attributes:
        result: What there is of the run: its directory, the agent with the weights it ended with, and a summary without
            evaluation. None before the run is known.
    """

    def __init__(self, message: str, result: "Result | None" = None) -> None:
        super().__init__(message)
        self.result = result


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
        self._num_tokens = int(venv.action_space.n)  # type: ignore[attr-defined]  # of Discrete
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
        invalid, masked = ~((actions >= 0) & (actions < self._num_tokens)), False
        if not invalid.any() and self._masks is not None:
            invalid = ~np.array([mask[action] for mask, action in zip(self._masks, actions, strict=True)])
            masked = True
        if invalid.any():
            row = int(np.flatnonzero(invalid)[0])
            raise self._action_error(row, self.steps, actions[row], masked)
        self._masks = None

    def _action_error(self, row: int, steps: int, action: int, masked: bool) -> TrainingError:
        reason = "its mask forbids that token" if masked else f"the valid tokens are 0 … {self._num_tokens - 1}"
        return TrainingError(f"environment {row}, step {steps}: action {action}, but {reason}.")

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

    def end_episodes(self, episodes: Episodes) -> Any:
        """Check whole episodes, then end them as `TokenVecEnv.end_episodes` does, and return what it returns.

        Raises:
            TrainingError: An action is not a token, or its mask forbids it; or an observation or reward is not finite,
                or is huge.
        """
        sound = {
            "token": (episodes.actions >= 0) & (episodes.actions < self._num_tokens),
            "mask": episodes.legal if self._masked else torch.ones_like(episodes.legal),
            "observation": (episodes.observations.abs() <= MAX_MAGNITUDE).all(dim=2),  # False for NaN, too
            "reward": episodes.rewards.abs() <= MAX_MAGNITUDE,
        }
        if not torch.stack([steps.all() for steps in sound.values()]).all():  # one wait for the device
            self._report_first_fault(sound, episodes)
        ended = self.venv.end_episodes(episodes)  # type: ignore[attr-defined]  # of TokenVecEnv
        self.steps += episodes.actions.numel()
        return ended

    def _report_first_fault(self, sound: dict[str, torch.Tensor], episodes: Episodes) -> None:
        """Raise the error of the first step that is not sound, given which are, bool [L, N] by kind of fault."""
        step, row = (~torch.stack(list(sound.values())).all(dim=0)).nonzero()[0].tolist()
        steps = self.steps + step * self.num_envs
        kind = next(kind for kind, good in sound.items() if not good[step, row])
        if kind in ("token", "mask"):
            raise self._action_error(row, steps, int(episodes.actions[step, row]), masked=kind == "mask")
        seen = {"observation": episodes.observations, "reward": episodes.rewards}[kind][step, row]
        raise _value_error(kind, row, steps, seen.cpu().numpy().reshape(-1))

    def _check_values(self, kind: str, values: Any) -> Any:
        if not np.abs(values).max() <= MAX_MAGNITUDE:  # `not <=` also catches NaN
            rows = np.asarray(values).reshape(self.num_envs, -1)
            row = int(np.flatnonzero(~(np.abs(rows) <= MAX_MAGNITUDE).all(axis=1))[0])
            raise _value_error(kind, row, self.steps, rows[row])
        return values


def _value_error(kind: str, row: int, steps: int, values: NDArray[Any]) -> TrainingError:
    """Return the error that names the first bad number of one row, [columns]."""
    column = int(np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE))[0])
    place = f" (column {column})" if kind == "observation" else ""
    return TrainingError(f"environment {row}, step {steps}: {kind} {values[column]}{place}.")


class UpdateGuard(BaseCallback):
    """Check every policy update for finite losses, gradients and weights; list it before `Recorder` and `Saver`.

    Raises:
        DivergedError: A loss, the gradient norm or a weight is not finite.
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
                raise DivergedError(f"the update after step {self.num_timesteps}: {name} {value}.")
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
        DivergedError: A weight is not finite; the message names its tensor.
    """
    if bad := first_nonfinite(weights):
        raise DivergedError(f"the weights {bad[0]} contain {bad[1]}.")
