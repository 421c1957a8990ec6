"""Save a model and load it again without running any code that it brings."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from stable_baselines3.common.policies import BasePolicy

from agents import run_dir
from agents.agent import Agent
from agents.algorithms import build_policy
from agents.settings import Settings, make_settings
from token_env.dynamics import Dynamics
from token_env.errors import SettingError
from token_env.files import write_bytes
from token_env.language import ARRAYS, Language
from token_env.task import Task

FORMAT = 1


def save(path: Path, settings: Settings, dynamics: Dynamics, policy: BasePolicy) -> None:
    """Write weights, settings and, where it is not made from the settings alone, the language."""
    language = dynamics.language
    if language.recipe["kind"] != "synthetic":
        write_bytes(path / run_dir.LANGUAGE, language_bytes(language))
    weights = {name: tensor.cpu().contiguous() for name, tensor in own_weights(policy).items()}
    write_bytes(path / run_dir.WEIGHTS, safetensors.torch.save(weights))
    description = {"format": FORMAT, "settings": settings.to_dict(), "language": language.fingerprint}
    run_dir.write_json(path / run_dir.MODEL, description)


def load(run: str | Path) -> Agent:
    """The trained agent of a run. Nothing is unpickled; no code of the run is executed.

    Raises:
        SettingError: the directory holds no model, or one of another version, or a damaged one.
    """
    path = Path(run)
    description = run_dir.read_json(path / run_dir.MODEL)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise SettingError(f"{str(path)!r} holds a model of another version; this one reads format {FORMAT}.")
    settings = make_settings(description.get("settings") or {})
    dynamics = Dynamics(_with_language(settings.env, path))
    if dynamics.language.fingerprint != description.get("language"):
        raise SettingError(f"the language of {str(path)!r} is not the one its model was trained on.")
    policy = build_policy(settings, dynamics)
    weights = _read_weights(path / run_dir.WEIGHTS, own_weights(policy))
    policy.load_state_dict(weights, strict=False)  # the other names of shared parameters are missing
    policy.set_training_mode(False)
    return Agent(settings, dynamics, policy)


def own_weights(policy: BasePolicy) -> dict[str, torch.Tensor]:
    """Every parameter and buffer once: SB3 gives a features extractor that networks share three names."""
    return {name: tensor.detach() for name, tensor in (*policy.named_parameters(), *policy.named_buffers())}


def _with_language(task: Task, path: Path) -> Task:
    """The task with the language that was saved beside the model, if there is one."""
    file = path / run_dir.LANGUAGE
    return dataclasses.replace(task, language=read_language(file)) if file.exists() else task


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    try:
        weights = safetensors.torch.load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise SettingError(f"cannot read the weights {str(path)!r}: {error}.") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in expected.items()}:
        raise SettingError(f"the weights {str(path)!r} do not fit the policy that its settings describe.")
    return weights


def language_bytes(language: Language) -> bytes:
    """A language as an .npz archive of plain arrays."""
    arrays = {name: getattr(language, name) for name in ARRAYS}
    texts = {"surface": "\n".join(language.surface), "recipe": json.dumps(dict(language.recipe))}
    coded: dict[str, Any] = {name: np.frombuffer(text.encode(), dtype=np.uint8) for name, text in texts.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays, **coded)
    return stream.getvalue()


def read_language(path: Path) -> Language:
    """The language in such an archive.

    Raises:
        SettingError: a file that is damaged or holds something else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = [archive[name] for name in ARRAYS]
            surface, recipe = (archive[name].tobytes().decode() for name in ("surface", "recipe"))
        return Language(arrays[0], arrays[1], arrays[2], arrays[3], tuple(surface.split("\n")), json.loads(recipe))
    except Exception as error:
        raise SettingError(f"cannot read the language {str(path)!r}: {error}.") from error
