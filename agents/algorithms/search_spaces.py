"""Define the hyper-parameters that a study may vary for each algorithm, with their ranges.

The rollout size stays as set, except for A2C, which uses each rollout as one minibatch: there n_envs varies.
"""

from typing import Any, NamedTuple

from agents.settings.schema import A2CSettings, ClippedSettings, GRPOSettings, Settings, TRPOSettings


class Range(NamedTuple):
    """Numbers from low to high, both included; integers if low is an integer."""

    low: float
    high: float
    log: bool = False  # sample uniformly in the logarithm


class Choice(NamedTuple):
    """A categorical parameter: its unordered values."""

    choices: tuple[Any, ...]


Space = dict[str, Range | Choice]  # key: name of the setting in its section

SCHEDULES = Choice(("constant", "linear"))
MINIBATCH_COUNTS = (2, 4, 5, 8, 10, 16, 20)  # minibatches in a rollout
N_ENVS_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # multiples of the section's n_envs


def ppo_space(section: ClippedSettings, _: Settings) -> Space:
    """Return the search space of PPO and its variants."""
    return {
        "learning_rate": Range(3e-4, 1e-2, log=True),
        "learning_rate_schedule": SCHEDULES,
        "gamma": Range(0.2, 0.95),
        "gae_lambda": Range(0.0, 1.0),
        "ent_coef": Range(1e-4, 3e-2, log=True),
        "batch_size": _batch_sizes(section),
        "n_epochs": Range(3, 20),
        "clip_range": Range(0.1, 0.4),
        "max_grad_norm": Range(0.2, 5.0, log=True),
    }


def grpo_space(section: GRPOSettings, settings: Settings) -> Space:
    """Return the search space of GRPO: that of PPO, with the size of the groups instead of GAE."""
    space = {name: values for name, values in ppo_space(section, settings).items() if name != "gae_lambda"}
    divisors = tuple(size for size in range(2, section.n_envs + 1) if section.n_envs % size == 0)
    return space | {"group_size": Choice(divisors)}


def a2c_space(section: A2CSettings, settings: Settings) -> Space:
    """Return the search space of A2C; every n_envs in it divides the budget into whole rollouts."""
    per_env = max(section.n_steps // settings.env.max_steps, 1)  # episodes of each environment in a rollout
    counts = {int(factor * section.n_envs) for factor in N_ENVS_FACTORS} | {section.n_envs}
    return {
        "learning_rate": Range(5e-4, 2e-2, log=True),
        "learning_rate_schedule": SCHEDULES,
        "gamma": Range(0.2, 0.95),
        "gae_lambda": Range(0.0, 1.0),
        "ent_coef": Range(0.01, 1.0, log=True),
        "n_envs": Choice(tuple(sorted(n for n in counts if n and settings.episodes % (n * per_env) == 0))),
        "max_grad_norm": Range(0.2, 5.0, log=True),
    }


def trpo_space(section: TRPOSettings, _: Settings) -> Space:
    """Return the search space of TRPO; learning_rate and batch_size belong to its value function."""
    return {
        "learning_rate": Range(3e-4, 1e-2, log=True),
        "gamma": Range(0.2, 0.95),
        "gae_lambda": Range(0.0, 1.0),
        "batch_size": _batch_sizes(section),
        "n_critic_updates": Range(5, 20),
        "target_kl": Range(5e-3, 0.1, log=True),
        "cg_damping": Range(1e-3, 0.2, log=True),
        "cg_max_steps": Range(5, 15),
    }


def _batch_sizes(section: ClippedSettings | TRPOSettings) -> Choice:
    """Return minibatch sizes that divide the rollout."""
    rollout = section.n_envs * section.n_steps
    sizes = {rollout // count for count in MINIBATCH_COUNTS if rollout % count == 0 and rollout // count > 1}
    return Choice(tuple(sorted(sizes | {section.batch_size})))
