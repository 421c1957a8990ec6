"""Capture the complete training state between two rollouts and restore it bit for bit.

Episodes end with the rollout and the next ones have just started, so the problem ids describe the environments fully.
"""

from collections import deque
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.machine.random_states import generator_states
from agents.machine.usage import Clock
from agents.runs.checkpoints import Checkpoint
from agents.runs.weights import unique_weights
from agents.training.build import Training
from agents.training.recorder import Recorder
from agents.training.validation import Validation
from token_env.errors import SettingError

POLICY, OPTIMIZER, MEMORY = "policy/", "optimizer/", "memory/"  # prefixes of tensor names


def capture_training(model: OnPolicyAlgorithm, env: VecEnv) -> Checkpoint:
    """Capture model, environments and random generators.

    Args:
        model: Model between two rollouts.
        env: `TokenVecEnv` that the model plays.
    """
    tensors = {POLICY + name: tensor for name, tensor in unique_weights(model.policy).items()}
    numbers: dict[str, float] = {}
    for name, value in _optimizer_entries(model).items():
        (tensors if isinstance(value, Tensor) else numbers)[OPTIMIZER + name] = value
    tensors |= {f"{MEMORY}{index}": tensor for index, tensor in enumerate(_lstm_states(model))}
    infos: Any = model.ep_info_buffer
    return Checkpoint(
        tensors,
        {
            "timesteps": model.num_timesteps,
            "n_updates": getattr(model, "_n_updates", 0),
            "optimizer": numbers,
            "problem_ids": env.get_attr("problems")[0].ids.tolist(),
            "generators": generator_states(str(model.device)),
            "episode_infos": [[info["r"], info["l"]] for info in infos],
            "successes": list(model.ep_success_buffer or ()),
            "logged": {
                name: [float(value), list(model.logger.name_to_excluded[name])]
                for name, value in model.logger.name_to_value.items()
            },
        },
    )


def restore_training(model: OnPolicyAlgorithm, env: VecEnv, checkpoint: Checkpoint) -> None:
    """Restore model and environments from a checkpoint; `train` restores the random generators later.

    Args:
        model: New model with the settings of the checkpoint.
        env: `TokenVecEnv` that the model plays, at the difficulty of the checkpoint.
        checkpoint: Checkpoint to restore.

    Raises:
        SettingError: The checkpoint does not match the model.
        LookupError: The checkpoint lacks an entry.
    """
    metadata = checkpoint.metadata
    _restore_weights(model, checkpoint)
    _restore_optimizer(model, checkpoint)
    ids = metadata["problem_ids"]
    if len(ids) != env.num_envs:
        raise SettingError(f"the checkpoint has {len(ids)} environments, not {env.num_envs}.")
    env.set_options([{"problem_id": problem_id} for problem_id in ids])
    assert model.env is not None
    model.env.steps = metadata["timesteps"]  # type: ignore[attr-defined]  # of CheckedVecEnv
    model._last_obs = model.env.reset()  # type: ignore[assignment]
    model._last_episode_starts = np.ones(env.num_envs, dtype=np.bool_)
    if _lstm_states(model):
        memory = [checkpoint.tensors[f"{MEMORY}{index}"].to(model.device) for index in range(4)]
        model._last_lstm_states = RNNStates((memory[0], memory[1]), (memory[2], memory[3]))  # type: ignore[attr-defined]
    model.num_timesteps = metadata["timesteps"]
    model._n_updates = metadata["n_updates"]
    model.ep_info_buffer = deque(
        ({"r": r, "l": length} for r, length in metadata["episode_infos"]), maxlen=model._stats_window_size
    )
    model.ep_success_buffer = deque(metadata["successes"], maxlen=model._stats_window_size)


def restore_logger(model: OnPolicyAlgorithm, checkpoint: Checkpoint) -> None:
    """Restore the logger's unwritten values: SB3 writes those of an update to TensorBoard after the next rollout."""
    for name, (value, excluded) in checkpoint.metadata["logged"].items():
        model.logger.record(name, value, exclude=tuple(excluded))


def _lstm_states(model: OnPolicyAlgorithm) -> list[Tensor]:
    """Return hidden and cell states of actor and critic, [layers, N, units] each; empty if not recurrent."""
    states = getattr(model, "_last_lstm_states", None)
    return [] if states is None else [tensor for pair in states for tensor in pair]


def _optimizer_entries(model: OnPolicyAlgorithm) -> dict[str, Any]:
    """Return the optimizer state by parameter index and entry, such as `3/exp_avg`."""
    states = model.policy.optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, entries in states.items() for name, value in entries.items()}


def policy_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the policy weights in a checkpoint, by parameter name and in the parameters' shapes."""
    return {name.removeprefix(POLICY): value for name, value in checkpoint.tensors.items() if name.startswith(POLICY)}


def _restore_weights(model: OnPolicyAlgorithm, checkpoint: Checkpoint) -> None:
    weights = policy_weights(checkpoint)
    expected = {name: tuple(tensor.shape) for name, tensor in unique_weights(model.policy).items()}
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != expected:
        raise SettingError("the weights of the checkpoint do not match the policy that the settings describe.")
    model.policy.load_state_dict(
        weights, strict=False
    )  # not strict: shared parameters have one name in files and several in the policy


def _restore_optimizer(model: OnPolicyAlgorithm, checkpoint: Checkpoint) -> None:
    """Restore the optimizer state but not its settings: those come from the run, and SB3 sets the learning rate."""
    entries: dict[int, dict[str, Any]] = {}
    for name, value in {**checkpoint.tensors, **checkpoint.metadata["optimizer"]}.items():
        if name.startswith(OPTIMIZER):
            index, _, entry = name.removeprefix(OPTIMIZER).partition("/")
            entries.setdefault(int(index), {})[entry] = value
    optimizer: torch.optim.Optimizer = model.policy.optimizer
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})


def make_checkpoint(training: Training, recorder: Recorder, clock: Clock, validations: list[Validation]) -> Checkpoint:
    """Return a checkpoint of the complete training; call it between two rollouts."""
    captured = capture_training(training.model, training.env)
    metadata = {
        "settings": training.settings.to_dict(),
        "language": training.dynamics.language.fingerprint,
        "episodes": len(recorder.returns),
        "clock": clock.read(),
        "recorder": recorder.snapshot(),
        "curriculum": training.curriculum.state._asdict() if training.curriculum else None,
        "validations": validations,
    }
    return Checkpoint(captured.tensors, captured.metadata | metadata)
