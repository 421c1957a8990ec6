"""Start a training from the weights of another run, of the same shape or a smaller one.

Units and tokens of the smaller policy become the first ones of the larger: their weights and biases are carried over,
and they take nothing from the new units at first. So values, and the logits of the tokens that both know, are what they
were (after Net2Net, Chen et al., ICLR 2016). New tokens and units start as those of any new policy, the optimizer
starts afresh. A tied head carries over what it adds to the language's log-probabilities, and takes those themselves
from the new language.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from agents.runs import run_dir
from agents.runs.model_files import load
from agents.settings.schema import RecurrentPPOSettings, Settings
from token_env.errors import SettingError
from token_env.languages.language import ARRAYS, Language
from token_env.rules.dynamics import Dynamics

GATES = {nn.LSTM: 4, nn.GRU: 3}  # blocks of rows in a parameter of such a module, each with a row a unit
ROUNDING = 1e-6  # by which the same language may differ between machines


def start_from(run: str, settings: Settings, dynamics: Dynamics, policy: ActorCriticPolicy) -> dict[str, Any]:
    """Carry the weights of a finished run into a policy that has not been trained; tell which they were.

    Args:
        run: its directory.
        settings: of the training that is to begin.
        dynamics: of its task.
        policy: its policy.

    Raises:
        SettingError: no run, or one of another algorithm, language, observation or kind of policy, or of a larger
            vocabulary or network; then the policy is as it was.
    """
    source = load(run)
    _check_settings(run, source.settings, settings)
    _check_language(run, source.language, dynamics.language)
    _check_shapes(run, source.policy, policy)
    carry(source.policy, policy)
    digest = hashlib.sha256((Path(run) / run_dir.WEIGHTS).read_bytes()).hexdigest()
    return {"run": run, "weights_sha256": digest}


def carry(source: ActorCriticPolicy, target: ActorCriticPolicy) -> None:
    """Copy what a policy has learned into one that has the same layers, none of them smaller."""
    learned, modules = dict(source.named_parameters()), dict(target.named_modules())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            owner = modules[name.rpartition(".")[0]]
            put(learned[name], parameter, GATES.get(type(owner), 1))


def put(learned: Tensor, parameter: Tensor, blocks: int = 1) -> None:
    """Copy one parameter into another of at least its size, in place.

    Args:
        learned: [blocks · n, …], a row a unit or token, a column an input.
        parameter: [blocks · N, …]; of the first n rows of each block, columns beyond those of `learned` become 0, the
            other rows stay.
        blocks: of rows.
    """
    old, new = (each.view(blocks, -1, *each.shape[1:]) for each in (learned, parameter))
    rows = new[:, : old.shape[1]]
    rows.zero_()
    rows[(slice(None), slice(None), *(slice(size) for size in old.shape[2:]))] = old.to(new.device)


def _check_settings(run: str, theirs: Settings, ours: Settings) -> None:
    if theirs.algorithm != ours.algorithm:
        raise SettingError(
            f"{run!r} is a run of {theirs.algorithm}, not of {ours.algorithm}; "
            f"type python -m agents.train {theirs.algorithm}, or another --from."
        )
    if theirs.env.vocab_size > ours.env.vocab_size:
        raise SettingError(
            f"{run!r} has {theirs.env.vocab_size} tokens, more than the {ours.env.vocab_size} of this task; "
            f"type --set env.vocab_size={theirs.env.vocab_size}, or more, or another --from."
        )
    before, now = theirs.policy, ours.policy
    if len(before.hidden) != len(now.hidden) or any(
        old > new for old, new in zip(before.hidden, now.hidden, strict=True)
    ):
        raise SettingError(
            f"{run!r} has hidden layers of {_listed(before.hidden)} units, which do not fit into "
            f"{_listed(now.hidden)}; type --set policy.hidden={_listed(before.hidden)}, or wider layers."
        )
    old_units, new_units = _lstm_units(theirs), _lstm_units(ours)
    if old_units > new_units:
        raise SettingError(
            f"{run!r} has an LSTM of {old_units} units, which do not fit into {new_units}; "
            f"type --set recurrent_ppo.lstm_hidden_size={old_units}, or more."
        )
    _check_same(run, "policy.activation", before.activation, now.activation)
    _check_same(run, "env.observation", theirs.env.observation, ours.env.observation)
    if "tied" in (before.head, now.head):  # the other heads have the same parameters
        _check_same(run, "policy.head", before.head, now.head)
    if ours.env.observation == "tokens":
        _check_same(run, "policy.embedding", before.embedding, now.embedding)


def _check_same(run: str, name: str, theirs: object, ours: object) -> None:
    if theirs != ours:
        raise SettingError(f"{run!r} has {name}={theirs}, not {ours}; type --set {name}={theirs}, or another --from.")


def _lstm_units(settings: Settings) -> int:
    """Units of the LSTM; 0 of an algorithm that has none."""
    section = settings.hyperparameters
    return section.lstm_hidden_size if isinstance(section, RecurrentPPOSettings) else 0


def _listed(hidden: tuple[int, ...]) -> str:
    return str(list(hidden)).replace(" ", "")


def _check_language(run: str, theirs: Language, ours: Language) -> None:
    """Make sure that a token of the run's language is the same token in this one."""
    shared = ours.truncate(theirs.vocab_size)
    same = shared.surface == theirs.surface and shared.dimension == theirs.dimension
    if not same or not all(np.allclose(getattr(shared, n), getattr(theirs, n), 0, ROUNDING) for n in ARRAYS):
        raise SettingError(
            f"{run!r} speaks another language than this task: its {theirs.vocab_size} tokens are not the first ones of "
            f"this {ours.recipe['kind']} language; type the same --language, or another --from. "
            "(Languages of texts do not nest: they need the same env.vocab_size.)"
        )


def _check_shapes(run: str, source: ActorCriticPolicy, target: ActorCriticPolicy) -> None:
    (theirs,), (ours,) = (policy.observation_space.shape or () for policy in (source, target))
    if theirs != ours:
        raise SettingError(
            f"{run!r} reads observations of {theirs} columns, and this task shows {ours}; "
            "type the same env.lookahead and env.reward, or another --from."
        )
    learned, new = (dict(policy.named_parameters()) for policy in (source, target))
    if learned.keys() != new.keys() or any(
        old > size for name in new for old, size in zip(learned[name].shape, new[name].shape, strict=True)
    ):
        raise SettingError(
            f"the layers of {run!r} do not fit into those of this policy; type the settings of that run."
        )
