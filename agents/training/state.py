"""Read the whole state of a training between two rollouts, and build it again, so that it goes on bit for bit.

All episodes end with the rollout and the next ones have begun, so of the environments the problems' ids are enough.
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
from agents.runs.weights import own_weights
from agents.training.build import Training
from agents.training.recorder import Recorder
from agents.training.validation import Validation
from token_env.errors import SettingError

POLICY, OPTIMIZER, MEMORY = "policy/", "optimizer/", "memory/"  # what the names of tensors begin with


def read_training(model: OnPolicyAlgorithm, env: VecEnv) -> Checkpoint:
    """The state of model, environments and generators.

    Args:
        model: between two rollouts.
        env: the `TokenVecEnv` that it plays.
    """
    tensors = {POLICY + name: tensor for name, tensor in own_weights(model.policy).items()}
    numbers: dict[str, float] = {}
    for name, value in _optimizer_entries(model).items():
        (tensors if isinstance(value, Tensor) else numbers)[OPTIMIZER + name] = value
    tensors |= {f"{MEMORY}{place}": tensor for place, tensor in enumerate(_memory(model))}
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


def restore_training(model: OnPolicyAlgorithm, env: VecEnv, state: Checkpoint) -> None:
    """Put model and environments into a state; the generators come last, just before `learn`.

    Args:
        model: new, of the settings that the state was read under.
        env: the `TokenVecEnv` that it plays, at the difficulty that was played.
        state: to go on from.

    Raises:
        SettingError: it does not fit the model.
    """
    facts = state.facts
    _restore_weights(model, state.tensors)
    _restore_optimizer(model, state)
    ids = facts["problem_ids"]
    if len(ids) != env.num_envs:
        raise SettingError(f"the checkpoint has {len(ids)} environments, not {env.num_envs}.")
    env.set_options([{"problem_id": problem_id} for problem_id in ids])
    assert model.env is not None
    model.env.steps = facts["timesteps"]  # type: ignore[attr-defined]  # of CheckedVecEnv
    model._last_obs = model.env.reset()  # type: ignore[assignment]
    model._last_episode_starts = np.ones(env.num_envs, dtype=np.bool_)
    if _memory(model):
        kept = [state.tensors[f"{MEMORY}{place}"].to(model.device) for place in range(4)]
        model._last_lstm_states = RNNStates((kept[0], kept[1]), (kept[2], kept[3]))  # type: ignore[attr-defined]
    model.num_timesteps = facts["timesteps"]
    model._n_updates = facts["n_updates"]
    model.ep_info_buffer = deque(
        ({"r": r, "l": length} for r, length in facts["episode_infos"]), maxlen=model._stats_window_size
    )
    model.ep_success_buffer = deque(facts["successes"], maxlen=model._stats_window_size)


def restore_logged(model: OnPolicyAlgorithm, state: Checkpoint) -> None:
    """Give the model's logger what it held: SB3 tells TensorBoard of an update when the next one is due."""
    for name, (value, excluded) in state.facts["logged"].items():
        model.logger.record(name, value, exclude=tuple(excluded))


def _memory(model: OnPolicyAlgorithm) -> list[Tensor]:
    """What a recurrent model remembers of its episodes: hidden and cell states of policy and value."""
    states = getattr(model, "_last_lstm_states", None)
    return [] if states is None else [tensor for pair in states for tensor in pair]


def _optimizer_entries(model: OnPolicyAlgorithm) -> dict[str, Any]:
    """What the optimizer remembers, by parameter and name: `3/exp_avg`."""
    states = model.policy.optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, entries in states.items() for name, value in entries.items()}


def policy_weights(state: Checkpoint) -> dict[str, Tensor]:
    """The policy's weights of a state, by their names in the policy."""
    return {name.removeprefix(POLICY): value for name, value in state.tensors.items() if name.startswith(POLICY)}


def _restore_weights(model: OnPolicyAlgorithm, tensors: dict[str, Tensor]) -> None:
    weights = policy_weights(Checkpoint(tensors, {}))
    expected = {name: tuple(tensor.shape) for name, tensor in own_weights(model.policy).items()}
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != expected:
        raise SettingError("the checkpoint's weights do not fit the policy that the settings describe.")
    model.policy.load_state_dict(weights, strict=False)  # the other names of shared parameters are missing


def _restore_optimizer(model: OnPolicyAlgorithm, state: Checkpoint) -> None:
    """Give the optimizer its memory back; its settings are the run's, and SB3 sets the learning rate each update."""
    entries: dict[int, dict[str, Any]] = {}
    for name, value in {**state.tensors, **state.facts["optimizer"]}.items():
        if name.startswith(OPTIMIZER):
            index, _, entry = name.removeprefix(OPTIMIZER).partition("/")
            entries.setdefault(int(index), {})[entry] = value
    optimizer: torch.optim.Optimizer = model.policy.optimizer
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})


def make_checkpoint(training: Training, recorder: Recorder, clock: Clock, validations: list[Validation]) -> Checkpoint:
    """Everything that a training needs to go on, between two rollouts."""
    state = read_training(training.model, training.env)
    told = {
        "settings": training.settings.to_dict(),
        "language": training.dynamics.language.fingerprint,
        "episodes": len(recorder.returns),
        "clock": clock.read(),
        "recorder": recorder.facts(),
        "curriculum": training.curriculum.state._asdict() if training.curriculum else None,
        "validations": validations,
    }
    return Checkpoint(state.tensors, state.facts | told)
