"""Save and load models; loading executes no code from the files.

A model consists of settings that `agents/settings/schema.py` validates, and tensors whose names, shapes and types match
the policy that the settings describe. Sizes in the settings are compared with the tensors before memory is allocated.
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
from agents.runs.language_file import is_stored, language_bytes, read_language
from agents.runs.weights import check_finite, fill, read_weights, unique_weights
from agents.settings.layers import make_settings
from agents.settings.schema import TIED_HEADS, RecurrentPPOSettings, Settings
from token_env.errors import SettingError
from token_env.files import write_bytes
from token_env.rules.dynamics import Dynamics

FORMAT = 3


def save(path: Path, settings: Settings, dynamics: Dynamics, policy: BasePolicy) -> None:
    """Write a model: weights, settings, the language unless it is synthetic, and last their checksums.

    Raises:
        SettingError: The weights are not finite; no file has been written.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in unique_weights(policy).items()}
    check_finite(weights, f"the weights for {str(path)!r}")
    language = dynamics.language
    contents = {run_dir.WEIGHTS: safetensors.torch.save(weights)}
    if is_stored(settings):
        contents[run_dir.LANGUAGE] = language_bytes(language)
    description = {"format": FORMAT, "settings": settings.to_dict(), "language": language.fingerprint}
    for name, content in contents.items():
        write_bytes(path / name, content)
    write_json(path / run_dir.MODEL, description)
    checksums.write(path, [*contents, run_dir.MODEL])


def load(run: str | Path) -> Agent:
    """Load the trained agent of a run. Nothing is unpickled; no code from the run is executed.

    Raises:
        SettingError: The directory has no model, or its model has another format version, is damaged or incomplete,
            contradicts its settings, or has weights that are not finite.
    """
    path = Path(run)
    if not path.is_dir():
        raise SettingError(f"there is no directory {str(path)!r}; type the directory of a run.")
    _check_version(path, read_json(path / run_dir.MODEL))  # first, since models of older versions have no checksums
    files = checksums.read(path, (run_dir.MODEL, run_dir.WEIGHTS), (run_dir.LANGUAGE,))
    description = parse_json(files[run_dir.MODEL], path / run_dir.MODEL)
    _check_version(path, description)
    settings = make_settings(description["settings"])
    weights = read_weights(files[run_dir.WEIGHTS], str(path / run_dir.WEIGHTS))
    _check_sizes(path, settings, weights)
    dynamics = _dynamics(path, settings, files.get(run_dir.LANGUAGE))
    if dynamics.language.fingerprint != description.get("language"):
        raise SettingError(f"the language in {str(path)!r} differs from the one that the model was trained on.")
    policy = build_policy(settings, dynamics)
    fill(policy, weights, str(path / run_dir.WEIGHTS))
    return Agent(settings, dynamics, policy)


def _check_version(path: Path, description: Any) -> None:
    """Reject descriptions without settings and models of other format versions."""
    version = description.get("format") if isinstance(description, dict) else None
    if version == FORMAT and not isinstance(description.get("settings"), dict):
        raise SettingError(f"{str(path / run_dir.MODEL)!r} contains no settings.")
    if version != FORMAT:
        raise SettingError(
            f"the model in {str(path)!r} has format version {version!r}; this program reads version {FORMAT}. "
            "To train it again, type python -m agents.train ALGORITHM --config "
            f"{run_dir.as_typed(path / run_dir.CONFIG)}."
        )


def _check_sizes(path: Path, settings: Settings, weights: dict[str, torch.Tensor]) -> None:
    """Reject settings with a larger vocabulary or network than the weights, before memory is allocated."""
    size, section, env = sum(map(torch.numel, weights.values())), settings.hyperparameters, settings.env
    columns_per_token = settings.policy.embedding if env.observation == "tokens" else 1
    lstm = [section.lstm_hidden_size] * 2 if isinstance(section, RecurrentPPOSettings) else []
    layers = [(env.lookahead + 1) * columns_per_token, *lstm, *settings.policy.hidden, 1]
    tied = settings.policy.head in TIED_HEADS
    of_tokens = weights.get("mlp_extractor.head.log_unigram" if tied else "action_net.bias", torch.empty(0))
    if (env.vocab_size,) != of_tokens.shape or max(a * b for a, b in pairwise(layers)) > size:
        raise SettingError(f"the weights of {str(path)!r} do not match the policy that the settings describe.")


def _dynamics(path: Path, settings: Settings, language: bytes | None) -> Dynamics:
    """Build the dynamics of the task, with the language saved beside the model unless it is synthetic."""
    if is_stored(settings) == (language is None):  # a text file named in the settings is never opened
        fault = "is missing" if language is None else "must not exist"
        raise SettingError(
            f"the settings of {str(path)!r} name language {settings.env.language!r}, but {run_dir.LANGUAGE} {fault}."
        )
    if language is None:
        return Dynamics(settings.env)
    return Dynamics(dataclasses.replace(settings.env, language=read_language(language, str(path / run_dir.LANGUAGE))))
