"""Define the reward functions and their table.

A reward function maps a `Transition` of N rows to N rewards, float64. Returns and scores are never sums of
rewards; they are computed from the components adequacy and fluency penalty.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError, find
from token_env.rules.state import Transition

RewardFunction = Callable[[Transition], NDArray[np.float64]]


class Reward(NamedTuple):
    """A row of the table of rewards."""

    function: RewardFunction
    accrued: bool = False  # the observation includes the return so far
    potential: bool = False  # the observation includes Φ
    is_users: bool = False  # a function of the user's, which gets arrays that it cannot change


def dense(t: Transition) -> NDArray[np.float64]:
    """Return adequacy minus fluency penalty of the step, [N]."""
    return t.adequacy - t.fluency_penalty


def terminal(t: Transition) -> NDArray[np.float64]:
    """Return the sum of all dense rewards at the last step and 0 before, [N], like a sentence-level reward model."""
    return np.where(t.done, t.next_state.adequacy - t.next_state.fluency_penalty, 0.0)


def potential(t: Transition) -> NDArray[np.float64]:
    """Return `terminal` plus γΦ' - Φ, [N], where Φ is the adequacy so far, and 0 at the end.

    The shaping terms telescope, so the optimal policy under γ is unchanged (Ng, Harada and Russell, ICML 1999).
    """
    after = np.where(t.done, 0.0, t.next_state.adequacy)
    return terminal(t) + t.discount * after - t.state.adequacy


def exact(t: Transition) -> NDArray[np.float64]:
    """Return 1 for the word of the message itself, else 0, [N]: a contextual bandit, in conflict with fluency."""
    return (t.action == t.due).astype(np.float64)


REWARDS = {
    "dense": Reward(dense),
    "terminal": Reward(terminal, accrued=True),
    "potential": Reward(potential, accrued=True, potential=True),
    "exact": Reward(exact),
}


def find_reward(reward: str | RewardFunction) -> Reward:
    """Return the reward of this name, or a row for a user's own function.

    Raises:
        SettingError: An unknown name, or a value that is neither a name nor callable.
    """
    if isinstance(reward, str):
        return find("reward", reward, REWARDS)
    if not callable(reward):
        raise SettingError(f"reward is a name ({', '.join(REWARDS)}) or a function of a Transition, not {reward!r}.")
    return Reward(reward, is_users=True)
