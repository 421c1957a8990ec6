"""Save a model and load it again without running any code that it brings.

Only what is expected is loaded: the settings in `agents/settings/schema.py`, and tensors whose names, shapes and types
are those of the policy that the settings describe. Sizes that a model declares are compared with its files before any
memory is allocated.
"""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import safetensors.numpy
import safetensors.torch
import torch
from stable_baselines3.common.policies import BasePolicy

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.runs import checksums, run_dir
from agents.runs.json_files import parse_json, read_json, write_json
from agents.runs.language_file import language_bytes, read_language
from agents.runs.weights import check_finite, fill, own_weights, read_weights
from agents.settings.layers import make_settings
from agents.settings.schema import RecurrentPPOSettings, Settings
from token_env.errors import SettingError
from token_env.files import write_bytes
from token_env.rules.dynamics import Dynamics

FORMAT = 2


def save(path: Path, settings: Settings, dynamics: Dynamics, policy: BasePolicy) -> None:
    """Write weights, settings and, where it is not made from the settings alone, the language; then their checksums.

    Raises:
        SettingError: weights that are not finite; then nothing is written.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in own_weights(policy).items()}
    check_finite(weights, f"the weights for {str(path)!r}")
    language = dynamics.language
    contents = {run_dir.WEIGHTS: safetensors.torch.save(weights)}
    if not _made_from_settings(settings):
        contents[run_dir.LANGUAGE] = language_bytes(language)
    description = {"format": FORMAT, "settings": settings.to_dict(), "language": language.fingerprint}
    for name, content in contents.items():
        write_bytes(path / name, content)
    write_json(path / run_dir.MODEL, description)
    checksums.write(path, [*contents, run_dir.MODEL])


def load(run: str | Path) -> Agent:
    """The trained agent of a run. Nothing is unpickled; no code of the run is executed.

    Raises:
        SettingError: the directory holds no model, or one of another version, or one that is damaged, half-written,
            not what it claims to be, or whose weights are not finite.
    """
    path = Path(run)
    if not path.is_dir():
        raise SettingError(f"there is no directory {str(path)!r}; name the directory of a run.")
    _check_version(path, read_json(path / run_dir.MODEL))  # an older one has no checksums
    files = checksums.read(path, (run_dir.MODEL, run_dir.WEIGHTS), (run_dir.LANGUAGE,))
    description = parse_json(files[run_dir.MODEL], path / run_dir.MODEL)
    _check_version(path, description)
    settings = make_settings(description["settings"])
    weights = read_weights(files[run_dir.WEIGHTS], str(path / run_dir.WEIGHTS))
    _check_sizes(path, settings, weights)
    dynamics = _dynamics(path, settings, files.get(run_dir.LANGUAGE))
    if dynamics.language.fingerprint != description.get("language"):
        raise SettingError(f"the language of {str(path)!r} is not the one its model was trained on.")
    policy = build_policy(settings, dynamics)
    fill(policy, weights, str(path / run_dir.WEIGHTS))
    return Agent(settings, dynamics, policy)


def _check_version(path: Path, description: Any) -> None:
    """Refuse what is no description of a model of this format."""
    found = description.get("format") if isinstance(description, dict) else None
    if found == FORMAT and not isinstance(description.get("settings"), dict):
        raise SettingError(f"{str(path / run_dir.MODEL)!r} holds no settings.")
    if found != FORMAT:
        raise SettingError(
            f"{str(path)!r} holds a model of another version (format {found!r}); this one reads format {FORMAT}. "
            f"Its settings train it again: type python -m agents.train ALGORITHM --config {path / run_dir.CONFIG}."
        )


def _check_sizes(path: Path, settings: Settings, weights: dict[str, torch.Tensor]) -> None:
    """Refuse settings of more tokens or larger networks than the weights are of, before any of it is made."""
    total, section, env = sum(map(torch.numel, weights.values())), settings.hyperparameters, settings.env
    of_tokens = settings.policy.embedding if env.observation == "tokens" else 1
    lstm = [section.lstm_hidden_size] * 2 if isinstance(section, RecurrentPPOSettings) else []
    layers = [(env.lookahead + 1) * of_tokens, *lstm, *settings.policy.hidden, 1]
    bias = weights.get("action_net.bias", torch.empty(0))
    if (env.vocab_size,) != bias.shape or max(a * b for a, b in pairwise(layers)) > total:
        raise SettingError(f"the weights of {str(path)!r} do not fit the policy that its settings describe.")


def _made_from_settings(settings: Settings) -> bool:
    return settings.env.language == "synthetic"


def _dynamics(path: Path, settings: Settings, language: bytes | None) -> Dynamics:
    """Of the task, with the language that was saved beside the model where there must be one."""
    if _made_from_settings(settings) != (language is None):  # a text named in the settings is never opened
        which = "no" if language is None else "a"
        raise SettingError(
            f"the model in {str(path)!r} speaks {settings.env.language!r}, and {which} {run_dir.LANGUAGE} is with it."
        )
    if language is None:
        return Dynamics(settings.env)
    return Dynamics(dataclasses.replace(settings.env, language=read_language(language, str(path / run_dir.LANGUAGE))))
