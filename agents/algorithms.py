"""List the algorithms: what each is called, which class learns, which settings it takes."""

import warnings
from typing import NamedTuple

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents.policies import FUSED_ADAM, POLICIES, policy_keywords, start_from_unigram
from agents.settings import OnPolicySettings, PPOSettings, Settings
from token_env.dynamics import Dynamics
from token_env.errors import SettingError, find


class Algorithm(NamedTuple):
    """A row of the table; its settings are the section of `Settings` that bears its name."""

    learner: type[OnPolicyAlgorithm]


ALGORITHMS = {
    "a2c": Algorithm(A2C),
    "ppo": Algorithm(PPO),
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


def build_model(settings: Settings, env: VecEnv, dynamics: Dynamics, device: str) -> OnPolicyAlgorithm:
    """The SB3 model that these settings describe, not yet trained.

    Args:
        settings: of the run.
        env: the batch it plays.
        dynamics: of the task, whose language the policy may start from.
        device: as SB3 takes it, already resolved.
    """
    row, section = find_algorithm(settings.algorithm), algorithm_settings(settings)
    rate = section.learning_rate
    head = settings.policy.head
    optimizer = FUSED_ADAM if head != "stock" and row.learner is PPO else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are trying to run")  # on a GPU: the device was chosen
        model = row.learner(
            POLICIES[head],
            env,
            learning_rate=(lambda remaining: rate * remaining) if section.learning_rate_schedule == "linear" else rate,
            policy_kwargs=policy_keywords(settings, dynamics) | optimizer,
            seed=settings.seed,
            device=device,
            **section.model_dump(exclude=OURS),
        )
    if section.action_bias == "log_unigram" and head != "tied":
        start_from_unigram(model.policy, torch.tensor(dynamics.language.log_unigram, dtype=torch.float32))
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
    rounds = section.n_steps // length  # episodes that each environment plays in a rollout
    if settings.episodes % (section.n_envs * rounds):
        other = ""
        if settings.episodes % rounds == 0:
            fit = nearest_divisor(settings.episodes // rounds, section.n_envs)
            other = f", or --set {name}.n_envs={fit}"
        raise SettingError(
            f"{settings.episodes} episodes are no whole number of rollouts of {section.n_envs * rounds} episodes "
            f"(n_envs {section.n_envs} × n_steps {section.n_steps}); "
            f"type --episodes {nearest_multiple(settings.episodes, section.n_envs * rounds)}{other}."
        )
    steps = section.n_envs * section.n_steps
    if isinstance(section, PPOSettings) and steps % section.batch_size:
        if steps == 1:
            raise SettingError("ppo needs rollouts of at least 2 steps; type --set ppo.n_envs=2.")
        fit = nearest_divisor(steps, section.batch_size, least=2)
        raise SettingError(
            f"{name}.batch_size={section.batch_size} does not divide a rollout of {steps} steps; "
            f"type --set {name}.batch_size={fit}."
        )


def nearest_multiple(value: int, unit: int) -> int:
    """The multiple of `unit`, at least `unit`, nearest to `value`."""
    return max(unit, (value + unit // 2) // unit * unit)


def nearest_divisor(total: int, value: int, least: int = 1) -> int:
    """The divisor of `total`, at least `least` and at most `total`, nearest to `value`; the smaller of two."""
    value = min(value, total)
    for distance in range(total):
        for candidate in (value - distance, value + distance):
            if least <= candidate <= total and total % candidate == 0:
                return candidate
    return total
