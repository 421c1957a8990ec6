"""Name what a study may change of an algorithm's settings, and between which bounds.

What shapes a rollout stays as the settings have it, but for A2C, whose rollouts are its minibatches.
"""

from typing import Any, NamedTuple

from agents.settings.schema import A2CSettings, PPOSettings, Settings, TRPOSettings


class Between(NamedTuple):
    """Numbers from low to high, both included; whole ones where low is one."""

    low: float
    high: float
    log: bool = False  # as many are tried between 0.001 and 0.01 as between 0.01 and 0.1


class OneOf(NamedTuple):
    """One of these, in no order."""

    choices: tuple[Any, ...]


Space = dict[str, Between | OneOf]  # by the name that the setting has in its section

SCHEDULES = OneOf(("constant", "linear"))
MINIBATCHES = (2, 4, 5, 8, 10, 16, 20)  # of a rollout
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the environments played side by side


def ppo_space(section: PPOSettings, _: Settings) -> Space:
    """Of PPO and its variants."""
    return {
        "learning_rate": Between(3e-4, 1e-2, log=True),
        "learning_rate_schedule": SCHEDULES,
        "gamma": Between(0.2, 0.95),
        "gae_lambda": Between(0.4, 1.0),
        "ent_coef": Between(1e-4, 3e-2, log=True),
        "batch_size": _batch_sizes(section),
        "n_epochs": Between(3, 20),
        "clip_range": Between(0.1, 0.4),
        "max_grad_norm": Between(0.2, 5.0, log=True),
    }


def a2c_space(section: A2CSettings, settings: Settings) -> Space:
    """Of A2C."""
    rounds = max(section.n_steps // settings.env.max_steps, 1)
    counts = {int(factor * section.n_envs) for factor in FACTORS} | {section.n_envs}
    return {
        "learning_rate": Between(5e-4, 2e-2, log=True),
        "learning_rate_schedule": SCHEDULES,
        "gamma": Between(0.2, 0.95),
        "gae_lambda": Between(0.0, 1.0),
        "ent_coef": Between(0.01, 1.0, log=True),
        "n_envs": OneOf(tuple(sorted(n for n in counts if n and settings.episodes % (n * rounds) == 0))),
        "max_grad_norm": Between(0.2, 5.0, log=True),
    }


def trpo_space(section: TRPOSettings, _: Settings) -> Space:
    """Of TRPO; its learning rate and minibatches are the value's."""
    return {
        "learning_rate": Between(3e-4, 1e-2, log=True),
        "gamma": Between(0.2, 0.95),
        "gae_lambda": Between(0.4, 1.0),
        "batch_size": _batch_sizes(section),
        "n_critic_updates": Between(5, 20),
        "target_kl": Between(5e-3, 0.1, log=True),
        "cg_damping": Between(1e-3, 0.2, log=True),
        "cg_max_steps": Between(5, 15),
    }


def _batch_sizes(section: PPOSettings | TRPOSettings) -> OneOf:
    """Those that divide the rollout."""
    rollout = section.n_envs * section.n_steps
    sizes = {rollout // count for count in MINIBATCHES if rollout % count == 0 and rollout // count > 1}
    return OneOf(tuple(sorted(sizes | {section.batch_size})))
