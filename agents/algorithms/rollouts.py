"""Collect rollouts of whole episodes as tensors on the policy's device, which the host does not wait for in between.

SB3 steps environments on the host, and so waits for the device at every step. Here the rules run where the policy is:
on the CPU in NumPy, with the numbers that SB3's own rollouts have, on other devices in torch. Callbacks get every step
after its episode.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from agents.algorithms.grpo import GRPO
from agents.algorithms.tensor_buffer import GroupTensorBuffer, MaskableTensorBuffer, TensorRolloutBuffer
from token_env.languages.surprisal import Array
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems


class Episodes(NamedTuple):
    """What a policy did in N whole episodes of L steps, on any device."""

    observations: Tensor  # [L, N, D]
    actions: Tensor  # int64 [L, N]
    rewards: Tensor  # float32 [L, N]
    legal: Tensor  # bool [L, N] whether the masks allowed the actions; all True without masks
    adequacy: Array  # [N] sum over the episode, as the rules return it
    fluency_penalty: Array  # [N] sum over the episode


class EpisodeRollouts(OnPolicyAlgorithm):
    """Mixin for on-policy algorithms of SB3 that train in a `TokenVecEnv`, or in a wrapper with its `end_episodes`.

    Rollouts are whole episodes: `n_steps` is a multiple of the episodes' length. The rollout buffer is a
    `TensorRolloutBuffer`. Callbacks see each step's `rewards`, `dones` and `infos`; infos are empty but at the end.
    """

    _rules: tuple[Dynamics, Dynamics] | None = None  # those of the environment, and the same on the device

    def collect_rollouts(
        self,
        env: Any,
        callback: BaseCallback,
        rollout_buffer: Any,
        n_rollout_steps: int,  # the size of the buffer
        use_masking: bool = True,
    ) -> bool:
        """Collect whole episodes with the current policy and fill the buffer; return False if a callback stopped."""
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        dones = np.zeros(env.num_envs, dtype=np.bool_)
        while not rollout_buffer.full:
            with torch.no_grad():
                episodes = self._play(env.unwrapped.vector_env, rollout_buffer, use_masking)
            self._last_obs, rewards, dones, infos = env.end_episodes(episodes)
            if not self._report(callback, rewards, dones, infos, locals()):
                return False
        # all episodes are over, so the values that follow do not count
        rollout_buffer.compute_returns_and_advantage(torch.zeros(env.num_envs, device=self.device), dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _play(self, env: Any, buffer: TensorRolloutBuffer, use_masking: bool) -> Episodes:
        """Play the current problem of every row to its end, and add the steps to the buffer."""
        rules = self._rules_on_device(env.dynamics)
        due = self._to_rules(env.due)
        problems = Problems(*map(self._to_rules, env.problems))
        if self.device.type != "cpu":
            env.draw_ahead()  # while the device is busy
        state, first = rules.initial(problems), buffer.pos
        starts, masks, legal, paid = torch.ones(env.num_envs, device=self.device), {}, [], []
        for _ in range(env.task.max_steps):
            observations = self._to_policy(rules.observe_due(due, state))
            if use_masking and isinstance(buffer, MaskableTensorBuffer):
                masks = {"action_masks": self._to_policy(rules.legal(state))}
            actions, values, log_probs = self.policy(observations, **masks)
            step = rules.transition(problems, state, self._to_rules(actions))
            paid.append(self._to_policy(float32(rules.rewards(step))))
            buffer.add(observations, actions, paid[-1], starts, values, log_probs, **masks)
            legal += [mask.gather(1, actions[:, None])[:, 0] for mask in masks.values()]
            state, starts = step.next_state, torch.zeros_like(starts)
        steps = slice(first, buffer.pos)
        observed, chosen = (buffer.tensors[name][steps] for name in ("observations", "actions"))
        allowed = torch.stack(legal) if legal else torch.ones_like(chosen[..., 0], dtype=torch.bool)
        return Episodes(observed, chosen[..., 0], torch.stack(paid), allowed, state.adequacy, state.fluency_penalty)

    def _report(
        self,
        callback: BaseCallback,
        rewards: NDArray[Any],
        dones: NDArray[Any],
        infos: list[Any],
        scope: dict[str, Any],
    ) -> bool:
        """Call the callback for each step of the episodes; return False if it stops the training."""
        nothing: list[dict[str, Any]] = [{} for _ in infos]
        running = np.zeros_like(dones)
        for step, paid in enumerate(rewards):
            last = step + 1 == len(rewards)
            ended, told = (dones, infos) if last else (running, nothing)
            self.num_timesteps += len(dones)
            callback.update_locals(scope | {"rewards": paid, "dones": ended, "infos": told})
            if not callback.on_step():
                return False
        self._update_info_buffer(infos, dones)
        return True

    def _rules_on_device(self, dynamics: Dynamics) -> Dynamics:
        """Return the rules for arrays on the policy's device: NumPy's on the CPU."""
        if self.device.type == "cpu":
            return dynamics
        if self._rules is None or self._rules[0] is not dynamics:
            self._rules = dynamics, dynamics.on(self._to_rules)
        return self._rules[1]

    def _to_rules(self, array: NDArray[Any] | Tensor) -> Array:
        """Return an array as the rules on the device take it."""
        if self.device.type == "cpu":
            return array.numpy() if isinstance(array, Tensor) else array
        return torch.as_tensor(float32(array)).to(self.device)  # mps has no float64

    def _to_policy(self, array: Array) -> Tensor:
        """Return an array of the rules as a tensor on the policy's device."""
        return torch.as_tensor(array, device=self.device)


def float32(array: Array) -> Array:
    """Return an array in float32 if it is one of NumPy in float64; others as they are."""
    return array.astype(np.float32) if isinstance(array, np.ndarray) and array.dtype == np.float64 else array


# Implementations of `collect_rollouts` that `EpisodeRollouts` may replace.
REPLACED = OnPolicyAlgorithm.collect_rollouts, MaskablePPO.collect_rollouts


@cache
def with_episode_rollouts(learner: Any) -> Any:
    """Return this algorithm with `EpisodeRollouts`."""
    return type(learner.__name__, (EpisodeRollouts, learner), {})


def tensor_buffer_class(learner: Any) -> type[TensorRolloutBuffer]:
    """Return the class of the rollout buffer for this algorithm."""
    if issubclass(learner, MaskablePPO):
        return MaskableTensorBuffer
    return GroupTensorBuffer if issubclass(learner, GRPO) else TensorRolloutBuffer
