"""List the algorithms: name, SB3 class, policy classes and search space of each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.algorithms.grpo import GRPO
from agents.algorithms.search_spaces import Space, a2c_space, grpo_space, ppo_space, trpo_space
from agents.policies.actor_critic import ACTOR_ONLY, MASKABLE, PLAIN, RECURRENT, Policies
from agents.settings.layers import make_settings
from agents.settings.schema import Settings, section_name
from token_env.errors import find


class Algorithm(NamedTuple):
    """One algorithm: its SB3 class, policy classes and search space."""

    learner: type[OnPolicyAlgorithm]
    policies: Policies
    space: Callable[..., Space]  # arguments: the algorithm's section, the whole settings
    uses_mask: bool = False  # samples legal tokens only
    recurrent: bool = False  # the policy has a memory of its episode
    compiles: bool = True  # torch.compile can compile its updates: minibatches of one shape, differentiated once


ALGORITHMS = {
    "a2c": Algorithm(A2C, PLAIN, a2c_space),
    "grpo": Algorithm(GRPO, ACTOR_ONLY, grpo_space),
    "maskable-ppo": Algorithm(MaskablePPO, MASKABLE, ppo_space, uses_mask=True),
    "ppo": Algorithm(PPO, PLAIN, ppo_space),
    "recurrent-ppo": Algorithm(RecurrentPPO, RECURRENT, ppo_space, recurrent=True, compiles=False),
    "trpo": Algorithm(TRPO, PLAIN, trpo_space, compiles=False),
}


def find_algorithm(name: str) -> Algorithm:
    """Return the algorithm of this name.

    Raises:
        SettingError: The name is unknown.
    """
    return find("algorithm", name, ALGORITHMS)


def tunable_parameters(settings: Settings, names: Iterable[str] = ()) -> Space:
    """Return the ranges of these parameters of the run's algorithm; without names, its whole search space.

    Raises:
        SettingError: The algorithm or a parameter is unknown.
    """
    space = find_algorithm(settings.algorithm).space(settings.hyperparameters, settings)
    return {name: find("parameter", name, space) for name in names} or space


def with_parameters(settings: Settings, parameters: Mapping[str, Any]) -> Settings:
    """Return the settings with other values in the algorithm's section.

    Raises:
        SettingError: A parameter is unknown, or its value is not allowed.
    """
    return make_settings(settings.to_dict(), {settings.section: dict(parameters)})


def without_other_algorithms(settings: Settings, algorithm: str) -> dict[str, Any]:
    """Return the settings as nested dictionaries, without the sections of all other algorithms."""
    others = {section_name(name) for name in ALGORITHMS} - {section_name(algorithm)}
    return {name: value for name, value in settings.to_dict().items() if name not in others}
