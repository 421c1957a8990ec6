"""Build SB3 models and policies from settings."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from agents.algorithms.mask_buffer import PackedMaskBuffer
from agents.algorithms.rollouts import REPLACED, tensor_buffer_class, with_episode_rollouts
from agents.algorithms.table import find_algorithm
from agents.algorithms.vec_env import TokenVecEnv, task_keywords
from agents.policies.activations import Tanh
from agents.policies.extractors import TokenExtractor
from agents.policies.tied_head import language_prior
from agents.settings.schema import TIED_HEADS, RecurrentPPOSettings, Settings, group_size
from token_env.env import observation_space
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.rewards import find_reward

# Settings that are not passed unchanged to the constructors of SB3 and sb3-contrib.
NON_SB3_SETTINGS = {"n_envs", "learning_rate", "learning_rate_schedule", "action_bias", "lstm_hidden_size"}
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}
STOCK_ACTIVATIONS = ACTIVATIONS | {"tanh": nn.Tanh}  # policy.head=stock uses SB3's modules unchanged
OPTIMIZERS: dict[str, dict[str, Any]] = {  # by policy.optimizer; with "auto", SB3 chooses
    "auto": {},
    "adam": {"optimizer_class": torch.optim.Adam},
    "rmsprop": {"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}},  # A2C's
    "sgd": {"optimizer_class": torch.optim.SGD},
}


def build_policy(settings: Settings, dynamics: Dynamics) -> BasePolicy:
    """Build a policy for inference, with initial weights; the caller loads the trained ones."""
    policy: Any = find_algorithm(settings.algorithm).policies[settings.policy.head]
    action_space = spaces.Discrete(dynamics.task.vocab_size)
    keywords = _policy_keywords(settings, dynamics)
    network: BasePolicy = policy(observation_space(dynamics), action_space, lambda _: 0.0, **keywords)
    return network


def _policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    """Return the `policy_kwargs` of the model for SB3."""
    policy, section = settings.policy, settings.hyperparameters
    activations = STOCK_ACTIVATIONS if policy.head == "stock" else ACTIVATIONS
    keywords: dict[str, Any] = {"net_arch": list(policy.hidden), "activation_fn": activations[policy.activation]}
    keywords |= OPTIMIZERS[policy.optimizer]
    if settings.env.observation == "tokens":
        keywords["features_extractor_class"] = TokenExtractor
        keywords["features_extractor_kwargs"] = {"embedding": policy.embedding}
    if policy.head in TIED_HEADS:
        keywords["prior"] = language_prior(dynamics.language, dynamics.task.lookahead)
        if find_algorithm(settings.algorithm).uses_mask:
            keywords["mask_budget"] = dynamics.mask_budget
    if policy.head == "planning":
        keywords |= policy.model_dump(include={"depth", "shortlist", "successors"})
    if isinstance(section, RecurrentPPOSettings):
        keywords["lstm_hidden_size"] = section.lstm_hidden_size
    return keywords


class Learner(NamedTuple):
    """An untrained model with its environment and dynamics."""

    env: TokenVecEnv
    dynamics: Dynamics
    model: OnPolicyAlgorithm


def build_learner(
    settings: Settings,
    device: str,
    language: Language | None = None,
    wrap: Callable[[VecEnv], VecEnv] = lambda env: env,
    on_host: bool = False,
) -> Learner:
    """Build the environment, the dynamics and the model of a run.

    Args:
        settings: Settings of the run.
        device: Torch device, already resolved ("cpu", "cuda:0").
        language: Language stored with the run; if None, it is built from the settings.
        wrap: Function that wraps the environment before the model uses it.
        on_host: Whether rollouts are the algorithm's own, which step the environment on the host, in any case.

    Raises:
        SettingError: The language is unknown or cannot be fitted.
    """
    task = settings.env if language is None else dataclasses.replace(settings.env, language=language)
    section = settings.hyperparameters
    env = TokenVecEnv(section.n_envs, group_size=group_size(section), **task_keywords(task))
    dynamics = Dynamics(dataclasses.replace(settings.env, language=env.vector_env.language))
    return Learner(env, dynamics, build_model(settings, wrap(env), dynamics, device, on_host))


def build_model(
    settings: Settings, env: VecEnv, dynamics: Dynamics, device: str, on_host: bool = False
) -> OnPolicyAlgorithm:
    """Build the untrained SB3 model that the settings describe.

    Args:
        settings: Settings of the run.
        env: Vectorised environment of the model.
        dynamics: Dynamics of the task; the policy may start from probabilities of its language.
        device: Torch device, already resolved ("cpu", "cuda:0").
        on_host: Whether rollouts are the algorithm's own in any case.
    """
    row, section = find_algorithm(settings.algorithm), settings.hyperparameters
    rate, head = section.learning_rate, settings.policy.head
    learner: Callable[..., OnPolicyAlgorithm] = row.learner
    buffer: dict[str, Any] = {"rollout_buffer_class": PackedMaskBuffer} if row.uses_mask else {}
    if plays_whole_episodes(settings) and not on_host:
        learner = with_episode_rollouts(row.learner)
        buffer = {"rollout_buffer_class": tensor_buffer_class(row.learner)}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="You are trying to run"
        )  # SB3 warns of GPUs; the user chose the device
        model = learner(
            row.policies[head],
            env,
            learning_rate=(lambda remaining: rate * remaining) if section.learning_rate_schedule == "linear" else rate,
            policy_kwargs=_policy_keywords(settings, dynamics),
            seed=settings.seed,
            device=device,
            **section.model_dump(exclude=NON_SB3_SETTINGS),
            **buffer,
        )
    if section.action_bias == "log_unigram" and head not in TIED_HEADS:
        _start_from_unigram(model.policy, torch.tensor(dynamics.language.log_unigram, dtype=torch.float32))
    return model


def plays_whole_episodes(settings: Settings) -> bool:
    """Return whether rollouts are `EpisodeRollouts`; otherwise they are the algorithm's own."""
    own_reward = find_reward(settings.env.reward).is_users  # a function that takes NumPy arrays
    cut = settings.hyperparameters.n_steps % settings.env.max_steps
    return not own_reward and not cut and find_algorithm(settings.algorithm).learner.collect_rollouts in REPLACED


def _start_from_unigram(policy: BasePolicy, log_unigram: torch.Tensor) -> None:
    """Set the action bias to the language's log-unigram probabilities, [V] nats; the policy starts near them."""
    head = policy.action_net
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.bias.copy_(log_unigram)
