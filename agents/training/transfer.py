"""Initialise a policy from the weights of another run with the same or smaller layers and vocabulary.

Units and tokens of the smaller policy become the first units and tokens of the larger one. Their weights and biases are
copied, and their weights from the new units are 0. So the values and the logits of the shared tokens stay the same
(after Net2Net, Chen et al., ICLR 2016). New tokens and units keep their initial weights, and the optimizer starts with
empty state. A tied head copies its learned correction; its log-probabilities come from the new language.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from agents.algorithms.table import find_algorithm
from agents.evaluation.agent import Agent
from agents.runs import run_dir
from agents.runs.model_files import load
from agents.settings.schema import TIED_HEADS, RecurrentPPOSettings, Settings
from token_env.errors import SettingError
from token_env.languages.language import ARRAYS, Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task

GATES = {nn.LSTM: 4, nn.GRU: 3}  # number of row blocks (gates) in a parameter; one row per unit in each
ROUNDING = 1e-6  # absolute difference of the same language between machines


def transfer_weights(run: str, settings: Settings, dynamics: Dynamics, policy: ActorCriticPolicy) -> dict[str, Any]:
    """Copy the weights of a finished run into an untrained policy, and return the run and the hash of its weights.

    Args:
        run: Directory of the finished run.
        settings: Settings of the new training.
        dynamics: Dynamics of the new task.
        policy: Policy of the new training, changed in place.

    Raises:
        SettingError: The run does not exist, differs in memory, language, observation or policy type, or has a
            larger vocabulary or network; the policy is unchanged.
    """
    agent = load(run)
    _check_settings(run, agent.settings, settings)
    _check_language(run, agent, dynamics.language)
    _check_shapes(run, agent.policy, policy)
    copy_policy(agent.policy, policy)
    digest = hashlib.sha256((Path(run) / run_dir.WEIGHTS).read_bytes()).hexdigest()
    return {"run": run, "weights_sha256": digest}


def inherited_language(settings: Settings) -> Language | None:
    """Return the language stored with the run in `settings.from_run`, if it was fitted to a text that is now missing.

    Args:
        settings: Settings of the new training, whose paths are absolute.

    Raises:
        SettingError: The text is missing, and the run has the language of another text, or another vocabulary.
    """
    kind, _, text = str(settings.env.language).partition(":")
    if kind != "text" or settings.from_run is None or Path(text).exists():
        return None
    agent = load(settings.from_run)
    stored = agent.settings.env
    if (stored.language, stored.vocab_size) != (settings.env.language, settings.env.vocab_size):
        raise SettingError(
            f"there is no text {text!r}; {settings.from_run!r} has the language {stored.language} of "
            f"{stored.vocab_size} tokens: {_same_language(stored)}."
        )
    return agent.language


def _same_language(task: Task) -> str:
    """Return the options that give a training the language of this task."""
    size = f" --set env.vocab_size={task.vocab_size}" if str(task.language).startswith("text:") else ""
    return f"type --language {task.language}{size}"


def copy_policy(source: ActorCriticPolicy, target: ActorCriticPolicy) -> None:
    """Copy the parameters of a policy into one with the same layers, none of them smaller."""
    learned, modules = dict(source.named_parameters()), dict(target.named_modules())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            owner = modules[name.rpartition(".")[0]]
            copy_parameter(learned[name], parameter, GATES.get(type(owner), 1))


def copy_parameter(learned: Tensor, parameter: Tensor, blocks: int = 1) -> None:
    """Copy a parameter into one of at least its size, in place.

    Args:
        learned: Source [blocks · n, …]: one row per unit or token, one column per input.
        parameter: Target [blocks · N, …]. In the first n rows of each block, additional columns become 0; the other
            rows stay the same.
        blocks: Number of row blocks.
    """
    old, new = (each.view(blocks, -1, *each.shape[1:]) for each in (learned, parameter))
    rows = new[:, : old.shape[1]]
    rows.zero_()
    rows[(slice(None), slice(None), *(slice(size) for size in old.shape[2:]))] = old.to(new.device)


def _check_settings(run: str, source: Settings, target: Settings) -> None:
    if find_algorithm(source.algorithm).recurrent != find_algorithm(target.algorithm).recurrent:
        raise SettingError(
            f"{run!r} was trained with {source.algorithm}, whose layers are not those of {target.algorithm}; "
            f"type python -m agents.train {source.algorithm}, or another --from."
        )
    if source.env.vocab_size > target.env.vocab_size:
        raise SettingError(
            f"{run!r} has {source.env.vocab_size} tokens, more than the {target.env.vocab_size} of this task; "
            f"type --set env.vocab_size={source.env.vocab_size}, or more, or another --from."
        )
    before, now = source.policy, target.policy
    if len(before.hidden) != len(now.hidden) or any(
        old > new for old, new in zip(before.hidden, now.hidden, strict=True)
    ):
        raise SettingError(
            f"{run!r} has hidden layers of {_list_text(before.hidden)} units, which do not fit into "
            f"{_list_text(now.hidden)}; type --set policy.hidden={_list_text(before.hidden)}, or wider layers."
        )
    old_units, new_units = _lstm_units(source), _lstm_units(target)
    if old_units > new_units:
        raise SettingError(
            f"{run!r} has an LSTM of {old_units} units, which do not fit into {new_units}; "
            f"type --set recurrent_ppo.lstm_hidden_size={old_units}, or more."
        )
    _check_same(run, "policy.activation", before.activation, now.activation)
    _check_same(run, "env.observation", source.env.observation, target.env.observation)
    if (before.head in TIED_HEADS) != (now.head in TIED_HEADS):  # within each kind the parameters are the same
        _check_same(run, "policy.head", before.head, now.head)
    if target.env.observation == "tokens":
        _check_same(run, "policy.embedding", before.embedding, now.embedding)


def _check_same(run: str, name: str, source: object, target: object) -> None:
    if source != target:
        raise SettingError(f"{run!r} has {name}={source}, not {target}; type --set {name}={source}, or another --from.")


def _lstm_units(settings: Settings) -> int:
    """Return the number of LSTM units; 0 for an algorithm without LSTM."""
    section = settings.hyperparameters
    return section.lstm_hidden_size if isinstance(section, RecurrentPPOSettings) else 0


def _list_text(hidden: tuple[int, ...]) -> str:
    return str(list(hidden)).replace(" ", "")


def _check_language(run: str, agent: Agent, target: Language) -> None:
    """Check that the agent's tokens are the first tokens of the target language."""
    source, task = agent.language, agent.settings.env
    truncated = target.truncate(source.vocab_size)
    same = truncated.surface == source.surface and truncated.dimension == source.dimension
    if not same or not all(np.allclose(getattr(truncated, n), getattr(source, n), 0, ROUNDING) for n in ARRAYS):
        raise SettingError(
            f"{run!r} was trained on another language: its {source.vocab_size} tokens are not the first tokens of this "
            f"{target.recipe['kind']} language; {_same_language(task)}, or another --from."
        )


def _check_shapes(run: str, source: ActorCriticPolicy, target: ActorCriticPolicy) -> None:
    (source_columns,), (target_columns,) = (policy.observation_space.shape or () for policy in (source, target))
    if source_columns != target_columns:
        raise SettingError(
            f"{run!r} was trained on observations of {source_columns} columns; this task has {target_columns}. "
            "Type the same env.lookahead and env.reward, or another --from."
        )
    learned, new = (dict(policy.named_parameters()) for policy in (source, target))
    if learned.keys() != new.keys() or any(
        old > size for name in new for old, size in zip(learned[name].shape, new[name].shape, strict=True)
    ):
        raise SettingError(
            f"the layers of {run!r} do not fit into the layers of this policy; type the settings of that run."
        )
