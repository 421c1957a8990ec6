"""List the algorithms: what each is called, which class learns, which settings it takes, what a study may change."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from agents import policies
from agents.mask_buffer import PackedMaskBuffer
from agents.search_spaces import Space, a2c_space, ppo_space, trpo_space
from agents.settings import OnPolicySettings, RecurrentPPOSettings, Settings, make_settings
from token_env.dynamics import Dynamics
from token_env.env import observation_space
from token_env.errors import SettingError, find


class Algorithm(NamedTuple):
    """A row of the table."""

    learner: Callable[..., OnPolicyAlgorithm]
    section: str  # of `Settings`, that is the algorithm's
    policies: policies.Policies
    space: Callable[..., Space]  # from its section and the whole settings to what a study may change
    uses_mask: bool = False  # says legal tokens only
    recurrent: bool = False  # remembers its episode


ALGORITHMS = {
    "a2c": Algorithm(A2C, "a2c", policies.PLAIN, a2c_space),
    "maskable-ppo": Algorithm(MaskablePPO, "maskable_ppo", policies.MASKABLE, ppo_space, uses_mask=True),
    "ppo": Algorithm(PPO, "ppo", policies.PLAIN, ppo_space),
    "recurrent-ppo": Algorithm(RecurrentPPO, "recurrent_ppo", policies.RECURRENT, ppo_space, recurrent=True),
    "trpo": Algorithm(TRPO, "trpo", policies.TRUST_REGION, trpo_space),
}
OURS = {
    "n_envs",
    "learning_rate",
    "learning_rate_schedule",
    "action_bias",
    "lstm_hidden_size",
}  # settings that SB3's learners do not take as they are


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
    section: OnPolicySettings = getattr(settings, find_algorithm(settings.algorithm).section)
    return section


def tunable(settings: Settings, names: Iterable[str] = ()) -> Space:
    """What a study may change of the run's algorithm: these parameters, or all that its row lists.

    Raises:
        SettingError: an unknown algorithm or parameter.
    """
    space = find_algorithm(settings.algorithm).space(algorithm_settings(settings), settings)
    return {name: find("parameter", name, space) for name in names} or space


def with_parameters(settings: Settings, parameters: Mapping[str, Any]) -> Settings:
    """The same run with other values in the algorithm's section.

    Raises:
        SettingError: an unknown key, or a value that is not allowed.
    """
    return make_settings(settings.to_dict(), {find_algorithm(settings.algorithm).section: dict(parameters)})


def with_defaults(settings: Settings) -> Settings:
    """The same run with the hyper-parameters of SB3 and sb3-contrib, in rollouts and minibatches that come out even."""
    row, length = find_algorithm(settings.algorithm), settings.env.max_steps
    section: OnPolicySettings = type(algorithm_settings(settings)).model_validate({})
    rounds = nearest_divisor(settings.episodes // section.n_envs, max(round(section.n_steps / length), 1))
    fitting = {"n_steps": rounds * length}
    if batch_size := getattr(section, "batch_size", None):
        fitting["batch_size"] = nearest_divisor(rounds * length * section.n_envs, batch_size, least=2)
    return settings.model_copy(update={row.section: section.model_copy(update=fitting)})


def without_others(settings: Settings, algorithm: str) -> dict[str, Any]:
    """The settings as nested dictionaries, but for the sections of other algorithms than this one."""
    others = {row.section for row in ALGORITHMS.values()} - {find_algorithm(algorithm).section}
    return {name: value for name, value in settings.to_dict().items() if name not in others}


def build_policy(settings: Settings, dynamics: Dynamics) -> BasePolicy:
    """A policy as these settings describe it that is not going to be trained, its weights to be filled in."""
    policy: Any = find_algorithm(settings.algorithm).policies[settings.policy.head]
    tokens = spaces.Discrete(dynamics.task.vocab_size)
    built: BasePolicy = policy(
        observation_space(dynamics), tokens, lambda _: 0.0, **_policy_keywords(settings, dynamics)
    )
    return built


def _policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    section = algorithm_settings(settings)
    lstm = {"lstm_hidden_size": section.lstm_hidden_size} if isinstance(section, RecurrentPPOSettings) else {}
    return policies.policy_keywords(settings, dynamics) | lstm


def build_model(settings: Settings, env: VecEnv, dynamics: Dynamics, device: str) -> OnPolicyAlgorithm:
    """The SB3 model that these settings describe, not yet trained.

    Args:
        settings: of the run.
        env: the batch it plays.
        dynamics: of the task, whose language the policy may start from.
        device: as SB3 takes it, already resolved.
    """
    row, section = find_algorithm(settings.algorithm), algorithm_settings(settings)
    rate, head = section.learning_rate, settings.policy.head
    optimizer = policies.FUSED_ADAM if head != "stock" and row.learner is not A2C else {}  # A2C has RMSprop
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
        policies.start_from_unigram(model.policy, log_unigram)
    return model


def check_budget(settings: Settings) -> None:
    """Make sure that the run plays exactly its number of episodes, in whole rollouts and minibatches.

    Raises:
        SettingError: a rollout of broken episodes, a budget that is no whole number of rollouts, or a
            minibatch that does not divide the rollout; each with the nearest values that fit.
    """
    section, name = algorithm_settings(settings), find_algorithm(settings.algorithm).section
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
    steps, batch_size = section.n_envs * section.n_steps, getattr(section, "batch_size", 1)
    if steps % batch_size:
        if steps == 1:
            raise SettingError(f"{name} needs rollouts of at least 2 steps; type --set {name}.n_envs=2.")
        fit = nearest_divisor(steps, batch_size, least=2)
        raise SettingError(
            f"{name}.batch_size={batch_size} does not divide a rollout of {steps} steps; "
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
