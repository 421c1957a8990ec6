"""Build what trains: environment, model and curriculum of a run's settings."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import configs
from agents.algorithms.budget import check_budget
from agents.algorithms.models import build_learner
from agents.algorithms.table import find_algorithm
from agents.algorithms.vec_env import TokenVecEnv
from agents.machine.matmul import Products, choose_products
from agents.policies.bf16 import multiply_in
from agents.runs import run_dir
from agents.runs.json_files import json_bytes
from agents.runs.language_file import is_stored, language_bytes
from agents.runs.summary import RunRecord
from agents.settings.schema import Settings
from agents.training.curriculum import Curriculum, CurriculumState, Schedule
from agents.training.guards import CheckedVecEnv
from agents.training.transfer import start_from
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task


class Training(NamedTuple):
    """What trains."""

    settings: Settings
    products: Products
    dynamics: Dynamics
    env: TokenVecEnv
    model: OnPolicyAlgorithm
    curriculum: Curriculum | None

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self.model.device)


def first_files(training: Training, record: RunRecord) -> dict[str, bytes]:
    """What the directory of a run begins with: all that is needed to train it again."""
    config = configs.dump(training.settings.to_dict()).encode()
    files = {
        run_dir.CONFIG: config,
        run_dir.RUN: json_bytes(record.model_dump(mode="json", by_alias=True, exclude_unset=True)),
    }
    language = training.dynamics.language
    if is_stored(language):
        files[run_dir.LANGUAGE] = language_bytes(language)
    return files


def build(
    settings: Settings, device: str, language: Language | None = None, level: CurriculumState | None = None
) -> Training:
    """Environment and model of resolved settings, not yet trained.

    Args:
        settings: of the run.
        device: already resolved.
        language: of the run, where it is kept with it; else it follows from the settings.
        level: of the curriculum; its first if None.

    Raises:
        SettingError: settings that cannot be used.
    """
    check_budget(settings)
    products = choose_products(settings.matmul, settings.precision, device)
    masked = find_algorithm(settings.algorithm).uses_mask
    env, dynamics, model = build_learner(settings, device, language, lambda batch: CheckedVecEnv(batch, masked))
    multiply_in(model.policy, products.precision)
    env.seed(environment_seed(settings.seed))
    curriculum = Curriculum(Schedule(settings), env, level) if settings.curriculum.enabled else None
    return Training(settings, products, dynamics, env, model, curriculum)


def begin_weights(training: Training) -> dict[str, Any]:
    """Start from the weights of another run where the settings name one, and tell from which."""
    settings = training.settings
    if not settings.from_run:
        return {}
    return {"from": start_from(settings.from_run, settings, training.dynamics, training.model.policy)}


def resolve_settings(settings: Settings) -> Settings:
    """The settings with what follows from others filled in: the shaping's discount, whole paths of a text and a run.

    Raises:
        SettingError: a discount of the environment that contradicts the agent's.
    """
    env, gamma = settings.env, settings.hyperparameters.gamma
    if env.discount not in (Task.discount, gamma):
        section = settings.section
        raise SettingError(
            f"env.discount={env.discount:g} differs from {section}.gamma={gamma:g}, the agent's; "
            f"leave it out, or type --set env.discount={gamma:g}."
        )
    changes: dict[str, Any] = {"discount": gamma}
    kind, _, text = str(env.language).partition(":")
    if kind == "text":
        changes["language"] = f"text:{Path(text).expanduser().absolute()}"
    begun = settings.from_run and str(Path(settings.from_run).expanduser().absolute())
    return settings.model_copy(update={"env": dataclasses.replace(env, **changes), "from_run": begun})


def environment_seed(seed: int) -> int:
    """A seed for the first row of the batch, such that runs of neighbouring seeds share no problems.

    Row i is seeded with the result + i, by Gymnasium's convention.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0])
