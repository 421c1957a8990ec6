"""List the algorithms: what each is called, which class learns, which settings it takes, what a study may change."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.algorithms.search_spaces import Space, a2c_space, ppo_space, trpo_space
from agents.policies.actor_critic import (
    MASKABLE,
    PLAIN,
    RECURRENT,
    TRUST_REGION,
    Policies,
)
from agents.settings.layers import make_settings
from agents.settings.schema import OnPolicySettings, Settings
from token_env.errors import find


class Algorithm(NamedTuple):
    """A row of the table."""

    learner: Callable[..., OnPolicyAlgorithm]
    section: str  # of `Settings`, that is the algorithm's
    policies: Policies
    space: Callable[..., Space]  # from its section and the whole settings to what a study may change
    uses_mask: bool = False  # says legal tokens only
    recurrent: bool = False  # remembers its episode


ALGORITHMS = {
    "a2c": Algorithm(A2C, "a2c", PLAIN, a2c_space),
    "maskable-ppo": Algorithm(MaskablePPO, "maskable_ppo", MASKABLE, ppo_space, uses_mask=True),
    "ppo": Algorithm(PPO, "ppo", PLAIN, ppo_space),
    "recurrent-ppo": Algorithm(RecurrentPPO, "recurrent_ppo", RECURRENT, ppo_space, recurrent=True),
    "trpo": Algorithm(TRPO, "trpo", TRUST_REGION, trpo_space),
}


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


def without_others(settings: Settings, algorithm: str) -> dict[str, Any]:
    """The settings as nested dictionaries, but for the sections of other algorithms than this one."""
    others = {row.section for row in ALGORITHMS.values()} - {find_algorithm(algorithm).section}
    return {name: value for name, value in settings.to_dict().items() if name not in others}
