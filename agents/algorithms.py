"""List the algorithms: what each is called, which class learns, which settings it takes."""

from typing import Any, NamedTuple

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents.policies import policy_keywords, start_from_unigram
from agents.settings import OnPolicySettings, Settings
from token_env.errors import SettingError, find


class Algorithm(NamedTuple):
    """A row of the table; its settings are the section of `Settings` that bears its name."""

    learner: type[OnPolicyAlgorithm]
    policy: str  # SB3's name of the policy class


ALGORITHMS = {
    "a2c": Algorithm(A2C, "MlpPolicy"),
    "ppo": Algorithm(PPO, "MlpPolicy"),
}
OURS = {
    "n_envs",
    "learning_rate",
    "learning_rate_schedule",
    "action_bias",
}  # settings that SB3 does not take as they are


def find_algorithm(name: str) -> Algorithm:
    """The row of this name.

    Raises:
        SettingError: an unknown name.
    """
    return find("algorithm", name, ALGORITHMS)


def algorithm_settings(settings: Settings) -> OnPolicySettings:
    """The settings of the run's algorithm.

    Raises:
        SettingError: an unknown algorithm.
    """
    find_algorithm(settings.algorithm)
    section: OnPolicySettings = getattr(settings, settings.algorithm)
    return section


def build_model(settings: Settings, env: VecEnv, log_unigram: Any, device: str) -> OnPolicyAlgorithm:
    """The SB3 model that these settings describe, not yet trained.

    Args:
        settings: of the run.
        env: the batch it plays.
        log_unigram: [V] log-probabilities of the tokens, in nats, that the policy may start from.
        device: as SB3 takes it, already resolved.
    """
    row, section = find_algorithm(settings.algorithm), algorithm_settings(settings)
    rate = section.learning_rate
    model = row.learner(
        row.policy,
        env,
        learning_rate=(lambda remaining: rate * remaining) if section.learning_rate_schedule == "linear" else rate,
        policy_kwargs=policy_keywords(settings.policy),
        seed=settings.seed,
        device=device,
        **section.model_dump(exclude=OURS),
    )
    if section.action_bias == "log_unigram":
        start_from_unigram(model.policy, torch.as_tensor(log_unigram, dtype=torch.float32))
    return model


def check_budget(settings: Settings) -> None:
    """Make sure that the run plays exactly its number of episodes, in whole rollouts and minibatches.

    Raises:
        SettingError: a rollout of broken episodes, a budget that is no whole number of rollouts, or a
            minibatch that does not divide the rollout; each with the nearest values that fit.
    """
    section, name = algorithm_settings(settings), settings.algorithm
    length = settings.env.max_steps
    if section.n_steps % length:
        raise SettingError(
            f"{name}.n_steps={section.n_steps} breaks episodes of {length} steps; "
            f"type --set {name}.n_steps={nearest_multiple(section.n_steps, length)}."
        )
    rollout = section.n_envs * section.n_steps // length
    if settings.episodes % rollout:
        rounds = section.n_steps // length
        fits = [n for n in range(1, settings.episodes // rounds + 1) if settings.episodes % (n * rounds) == 0]
        other = f", or --set {name}.n_envs={min(fits, key=lambda n: abs(n - section.n_envs))}" if fits else ""
        raise SettingError(
            f"{settings.episodes} episodes are no whole number of rollouts of {rollout} episodes "
            f"(n_envs {section.n_envs} × n_steps {section.n_steps}); "
            f"type --episodes {nearest_multiple(settings.episodes, rollout)}{other}."
        )
    steps = section.n_envs * section.n_steps
    batch_size = getattr(section, "batch_size", steps)
    if steps % batch_size:
        divisors = [n for n in range(2, steps + 1) if steps % n == 0]
        nearest = min(divisors, key=lambda n: abs(n - batch_size))
        raise SettingError(
            f"{name}.batch_size={batch_size} does not divide a rollout of {steps} steps; "
            f"type --set {name}.batch_size={nearest}."
        )


def nearest_multiple(value: int, unit: int) -> int:
    """The multiple of `unit`, at least `unit`, nearest to `value`."""
    return max(unit, (value + unit // 2) // unit * unit)
