"""Build the environment, model and curriculum of a training from its settings."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.algorithms.budget import check_budget
from agents.algorithms.models import build_learner
from agents.algorithms.table import ALGORITHMS, find_algorithm
from agents.algorithms.vec_env import TokenVecEnv
from agents.machine.matmul import Products, choose_products
from agents.policies.bf16 import set_linear_precision
from agents.policies.compiled import compile_evaluation
from agents.policies.streamed import STREAMED_TOKENS
from agents.runs import run_dir
from agents.runs.json_files import json_bytes
from agents.runs.language_file import is_stored, language_bytes
from agents.runs.summary import RunRecord
from agents.settings.schema import Settings
from agents.settings.yaml_text import dump
from agents.training.curriculum import Curriculum, CurriculumState, Schedule, make_levels
from agents.training.guards import CheckedVecEnv
from agents.training.transfer import inherited_language, transfer_weights
from token_env.errors import SettingError, check_all
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.rewards import check_imported
from token_env.rules.task import Task


class Training(NamedTuple):
    """The parts of one training."""

    settings: Settings
    products: Products
    dynamics: Dynamics
    env: TokenVecEnv
    model: OnPolicyAlgorithm
    curriculum: Curriculum | None

    @property
    def device(self) -> str:
        """Device of the model."""
        return str(self.model.device)


def initial_files(training: Training, record: RunRecord) -> dict[str, bytes]:
    """Return the content of the files that a new run starts with, by name; they suffice to repeat the training."""
    config = dump(training.settings.to_dict()).encode()
    files = {
        run_dir.CONFIG: config,
        run_dir.RUN: json_bytes(record.model_dump(mode="json", by_alias=True, exclude_unset=True)),
    }
    language = training.dynamics.language
    if is_stored(training.settings):
        files[run_dir.LANGUAGE] = language_bytes(language)
    return files


def build(
    settings: Settings, device: str, language: Language | None = None, progress: CurriculumState | None = None
) -> Training:
    """Build the untrained environment, model and curriculum of resolved settings.

    Args:
        settings: Settings of the run, from `resolve_settings`.
        device: Name of a usable device, from `resolve_device`.
        language: Language stored with the run; None builds it from the settings.
        progress: Curriculum state to continue from; None starts at the first level.

    Raises:
        SettingError: The settings cannot be used.
    """
    check_imported(settings.env.reward)
    language = language or inherited_language(settings)
    products = choose_products(settings.matmul, settings.precision, device)
    masked = find_algorithm(settings.algorithm).uses_mask
    env, dynamics, model = build_learner(settings, device, language, lambda batch: CheckedVecEnv(batch, masked))
    set_linear_precision(model.policy, products.precision)
    if settings.compile:
        compile_evaluation(model.policy)
    env.seed(environment_seed(settings.seed))
    curriculum = Curriculum(Schedule(settings), env, progress) if settings.curriculum.enabled else None
    return Training(settings, products, dynamics, env, model, curriculum)


def load_initial_weights(training: Training) -> dict[str, Any]:
    """Load the weights of the run in `settings.from_run`, if set; return the record of that run for `run.json`.

    Raises:
        SettingError: There is no such run, or its weights do not fit the policy.
    """
    settings = training.settings
    if not settings.from_run:
        return {}
    return {"from": transfer_weights(settings.from_run, settings, training.dynamics, training.model.policy)}


def resolve_settings(settings: Settings) -> Settings:
    """Fill in the settings that follow from others: the discount of the shaping, and absolute paths of text and run.

    Raises:
        SettingError: Settings do not fit together; the message names all that do not.
    """
    levels = [lambda: make_levels(settings)] if settings.curriculum.enabled else []
    checks = [lambda: _check_discount(settings), lambda: _check_compiled(settings), lambda: check_budget(settings)]
    check_all(*checks, *levels)
    env = settings.env
    changes: dict[str, Any] = {"discount": settings.hyperparameters.gamma}
    kind, _, text = str(env.language).partition(":")
    if kind == "text":
        changes["language"] = f"text:{Path(text).expanduser().absolute()}"
    from_run = settings.from_run and str(Path(settings.from_run).expanduser().absolute())
    return settings.model_copy(update={"env": dataclasses.replace(env, **changes), "from_run": from_run})


def _check_discount(settings: Settings) -> None:
    discount, gamma = settings.env.discount, settings.hyperparameters.gamma
    if discount not in (Task.discount, gamma):
        raise SettingError(
            f"env.discount={discount:g} differs from {settings.section}.gamma={gamma:g}, the discount of the agent; "
            f"omit it, or type --set env.discount={gamma:g}."
        )


def _check_compiled(settings: Settings) -> None:
    if not settings.compile:
        return
    if not find_algorithm(settings.algorithm).compiles:
        compiled = ", ".join(name for name, row in ALGORITHMS.items() if row.compiles)
        raise SettingError(f"compile=true works for {compiled}; for {settings.algorithm} type --set compile=false.")
    if settings.env.vocab_size >= STREAMED_TOKENS:
        raise SettingError(
            f"compile=true works for fewer than {STREAMED_TOKENS:,} tokens, env.vocab_size={settings.env.vocab_size}; "
            "type --set compile=false."
        )


def environment_seed(seed: int) -> int:
    """Return a seed for the first row of the batch, so that runs with neighbouring seeds share no problems.

    Row i gets this seed + i, following Gymnasium's convention.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0])
