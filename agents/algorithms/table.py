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
from agents.settings.schema import Settings, section_name
from token_env.errors import find


class Algorithm(NamedTuple):
    """A row of the table."""

    learner: Callable[..., OnPolicyAlgorithm]
    policies: Policies
    space: Callable[..., Space]  # from its section and the whole settings to what a study may change
    uses_mask: bool = False  # says legal tokens only
    recurrent: bool = False  # remembers its episode


ALGORITHMS = {
    "a2c": Algorithm(A2C, PLAIN, a2c_space),
    "maskable-ppo": Algorithm(MaskablePPO, MASKABLE, ppo_space, uses_mask=True),
    "ppo": Algorithm(PPO, PLAIN, ppo_space),
    "recurrent-ppo": Algorithm(RecurrentPPO, RECURRENT, ppo_space, recurrent=True),
    "trpo": Algorithm(TRPO, TRUST_REGION, trpo_space),
}


def find_algorithm(name: str) -> Algorithm:
    """The row of this name.

    Raises:
        SettingError: an unknown name.
    """
    return find("algorithm", name, ALGORITHMS)


def tunable(settings: Settings, names: Iterable[str] = ()) -> Space:
    """What a study may change of the run's algorithm: these parameters, or all that its row lists.

    Raises:
        SettingError: an unknown algorithm or parameter.
    """
    space = find_algorithm(settings.algorithm).space(settings.hyperparameters, settings)
    return {name: find("parameter", name, space) for name in names} or space


def with_parameters(settings: Settings, parameters: Mapping[str, Any]) -> Settings:
    """The same run with other values in the algorithm's section.

    Raises:
        SettingError: an unknown key, or a value that is not allowed.
    """
    return make_settings(settings.to_dict(), {settings.section: dict(parameters)})


def without_others(settings: Settings, algorithm: str) -> dict[str, Any]:
    """The settings as nested dictionaries, but for the sections of other algorithms than this one."""
    others = {section_name(name) for name in ALGORITHMS} - {section_name(algorithm)}
    return {name: value for name, value in settings.to_dict().items() if name not in others}
