"""Build SB3 models and policies from settings."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from agents.algorithms.mask_buffer import PackedMaskBuffer
from agents.algorithms.table import find_algorithm
from agents.algorithms.vec_env import TokenVecEnv, keywords_of
from agents.policies.actor_critic import (
    FUSED_ADAM,
    policy_keywords,
    start_from_unigram,
)
from agents.settings.schema import RecurrentPPOSettings, Settings
from token_env.env import observation_space
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics

OURS = {
    "n_envs",
    "learning_rate",
    "learning_rate_schedule",
    "action_bias",
    "lstm_hidden_size",
}  # settings that SB3's learners do not take as they are


def build_policy(settings: Settings, dynamics: Dynamics) -> BasePolicy:
    """A policy as these settings describe it that is not going to be trained, its weights to be filled in."""
    policy: Any = find_algorithm(settings.algorithm).policies[settings.policy.head]
    tokens = spaces.Discrete(dynamics.task.vocab_size)
    built: BasePolicy = policy(
        observation_space(dynamics), tokens, lambda _: 0.0, **_policy_keywords(settings, dynamics)
    )
    return built


def _policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    section = settings.hyperparameters
    lstm = {"lstm_hidden_size": section.lstm_hidden_size} if isinstance(section, RecurrentPPOSettings) else {}
    return policy_keywords(settings, dynamics) | lstm


class Learner(NamedTuple):
    """An untrained model with what it plays."""

    env: TokenVecEnv
    dynamics: Dynamics
    model: OnPolicyAlgorithm


def build_learner(
    settings: Settings,
    device: str,
    language: Language | None = None,
    wrap: Callable[[VecEnv], VecEnv] = lambda env: env,
) -> Learner:
    """Build environment, dynamics and model of a run.

    Args:
        settings: of the run.
        device: as SB3 takes it, already resolved.
        language: of the run, where it is stored with it; else it follows from the settings.
        wrap: returns the environment that the model is to play, from the batch.

    Raises:
        SettingError: an unknown language, or one that cannot be fitted.
    """
    task = settings.env if language is None else dataclasses.replace(settings.env, language=language)
    env = TokenVecEnv(settings.hyperparameters.n_envs, **keywords_of(task))
    dynamics = Dynamics(dataclasses.replace(settings.env, language=env.vector_env.language))
    return Learner(env, dynamics, build_model(settings, wrap(env), dynamics, device))


def build_model(settings: Settings, env: VecEnv, dynamics: Dynamics, device: str) -> OnPolicyAlgorithm:
    """The SB3 model that these settings describe, not yet trained.

    Args:
        settings: of the run.
        env: the batch it plays.
        dynamics: of the task, whose language the policy may start from.
        device: as SB3 takes it, already resolved.
    """
    row, section = find_algorithm(settings.algorithm), settings.hyperparameters
    rate, head = section.learning_rate, settings.policy.head
    optimizer = FUSED_ADAM if head != "stock" and row.learner is not A2C else {}  # A2C has RMSprop
    buffer = {"rollout_buffer_class": PackedMaskBuffer} if row.uses_mask else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are trying to run")  # on a GPU: the device was chosen
        model = row.learner(
            row.policies[head],
            env,
            learning_rate=(lambda remaining: rate * remaining) if section.learning_rate_schedule == "linear" else rate,
            policy_kwargs=_policy_keywords(settings, dynamics) | optimizer,
            seed=settings.seed,
            device=device,
            **section.model_dump(exclude=OURS),
            **buffer,
        )
    if section.action_bias == "log_unigram" and head != "tied":
        log_unigram = torch.tensor(dynamics.language.log_unigram, dtype=torch.float32)
        start_from_unigram(model.policy, log_unigram)
    return model
