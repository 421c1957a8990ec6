"""Pay for a step: the table of reward functions.

Each takes a `Transition` of N rows and returns N rewards, float64. Returns and scores are never sums of
these: they are always computed from the components adequacy and fluency penalty.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError, find
from token_env.rules.state import Transition

RewardFunction = Callable[[Transition], NDArray[np.float64]]


class Reward(NamedTuple):
    """A row of the table."""

    function: RewardFunction
    accrued: bool = False  # the observation adds what has been accrued of the return
    potential: bool = False  # the observation adds Φ


def dense(t: Transition) -> NDArray[np.float64]:
    """Adequacy less fluency penalty, paid at once."""
    return t.adequacy - t.fluency_penalty


def terminal(t: Transition) -> NDArray[np.float64]:
    """The sum of all dense rewards, paid at the last step, as a sentence-level reward model would."""
    return np.where(t.done, t.next_state.adequacy - t.next_state.fluency_penalty, 0.0)


def potential(t: Transition) -> NDArray[np.float64]:
    """`terminal` plus γΦ' - Φ, with Φ the accrued adequacy, 0 at the end.

    The shaping telescopes, so the best policy under γ stays the best (Ng, Harada and Russell, ICML 1999).
    """
    after = np.where(t.done, 0.0, t.next_state.adequacy)
    return terminal(t) + t.discount * after - t.state.adequacy


def exact(t: Transition) -> NDArray[np.float64]:
    """1 for saying the very word of the message, else 0: a contextual bandit, in conflict with fluency."""
    return (t.action == t.due).astype(np.float64)


REWARDS = {
    "dense": Reward(dense),
    "terminal": Reward(terminal, accrued=True),
    "potential": Reward(potential, accrued=True, potential=True),
    "exact": Reward(exact),
}


def find_reward(reward: str | RewardFunction) -> Reward:
    """The row of this name, or a row for a user's own function.

    Raises:
        SettingError: an unknown name, or something that is neither a name nor callable.
    """
    if isinstance(reward, str):
        return find("reward", reward, REWARDS)
    if not callable(reward):
        raise SettingError(f"reward is a name ({', '.join(REWARDS)}) or a function of a Transition, not {reward!r}.")
    return Reward(reward)
