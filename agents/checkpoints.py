"""Save a model and load it again without running any code that it brings."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import run_dir
from agents.policies import build_policy
from agents.precision import FLOAT32, choose_products
from agents.settings import Settings, make_settings
from token_env.dynamics import Dynamics
from token_env.errors import SettingError
from token_env.files import write_bytes
from token_env.language import ARRAYS, Language
from token_env.observations import Observations
from token_env.task import Task

FORMAT = 1


class Agent:
    """A trained policy with its task: what `agents.load` gives. It computes in float32, however it was trained."""

    def __init__(self, settings: Settings, dynamics: Dynamics, policy: ActorCriticPolicy) -> None:
        self.settings = settings
        self.dynamics = dynamics
        self.policy = policy
        self._products = choose_products(settings.matmul, FLOAT32, policy.device.type)

    @property
    def task(self) -> Task:
        """The constants of the task it was trained on, its language included."""
        return self.dynamics.task

    @property
    def language(self) -> Language:
        """The language it speaks."""
        return self.dynamics.language

    def predict(self, observation: Observations, deterministic: bool = True) -> tuple[NDArray[np.int64], None]:
        """Tokens to say, [N] for observations [N, D] and [] for one of [D], as SB3's `predict` gives them.

        Args:
            observation: as the task's environments give it.
            deterministic: the most probable token if true, else one drawn by its probability.
        """
        with self._products.in_use():
            actions, _ = self.policy.predict(self._as_seen(observation), deterministic=deterministic)
        return np.asarray(actions, dtype=np.int64), None

    def logits(self, observations: Observations) -> NDArray[np.float32]:
        """Unnormalised log-probabilities of all tokens, [N, V], for observations [N, D]."""
        seen, _ = self.policy.obs_to_tensor(self._as_seen(observations))
        with torch.no_grad(), self._products.in_use():
            distribution: Any = self.policy.get_distribution(seen).distribution
        return np.asarray(distribution.logits.cpu().numpy())

    def _as_seen(self, observations: Observations) -> Observations:
        return np.asarray(observations, dtype=self.policy.observation_space.dtype)

    def greedy(self, observations: Observations) -> NDArray[np.int64]:
        """The most probable tokens, [N], for observations [N, D]."""
        return self.predict(observations)[0]

    def sampled(self, observations: Observations) -> NDArray[np.int64]:
        """Tokens drawn by their probability, [N], for observations [N, D]."""
        return self.predict(observations, deterministic=False)[0]


def save(path: Path, settings: Settings, dynamics: Dynamics, policy: ActorCriticPolicy) -> None:
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


def own_weights(policy: ActorCriticPolicy) -> dict[str, torch.Tensor]:
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
