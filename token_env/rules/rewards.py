"""Define the reward functions and their table.

A reward function maps a `Transition` of N rows to N rewards, float64. Returns and scores are never sums of
rewards; they are computed from the components adequacy and fluency penalty. The rewards of the table use operators
alone, and so take arrays of any library.
"""

import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError, unknown_name
from token_env.rules.state import Transition

RewardFunction = Callable[[Transition], NDArray[np.float64]]


class Reward(NamedTuple):
    """A row of the table of rewards."""

    function: RewardFunction
    accrued: bool = False  # the observation includes the return so far
    potential: bool = False  # the observation includes Φ
    is_users: bool = False  # a function of the user's, which gets arrays that it cannot change

    @property
    def columns(self) -> tuple[bool, bool]:
        """Whether observations include the return so far, and Φ."""
        return self.accrued, self.potential


def dense(t: Transition) -> NDArray[np.float64]:
    """Return adequacy minus fluency penalty of the step, [N]."""
    return t.adequacy - t.fluency_penalty


def terminal(t: Transition) -> NDArray[np.float64]:
    """Return the sum of all dense rewards at the last step and 0 before, [N], like a sentence-level reward model."""
    return t.done * (t.next_state.adequacy - t.next_state.fluency_penalty)


def potential(t: Transition) -> NDArray[np.float64]:
    """Return `terminal` plus γΦ' - Φ, [N], where Φ is the adequacy so far, and 0 at the end.

    The shaping terms telescope, so the optimal policy under γ is unchanged (Ng, Harada and Russell, ICML 1999).
    """
    after = ~t.done * t.next_state.adequacy
    return terminal(t) + t.discount * after - t.state.adequacy


def exact(t: Transition) -> NDArray[np.float64]:
    """Return 1 for the word of the message itself, else 0, [N]: a contextual bandit, in conflict with fluency."""
    return 1.0 * (t.action == t.due)


REWARDS = {
    "dense": Reward(dense),
    "terminal": Reward(terminal, accrued=True),
    "potential": Reward(potential, accrued=True, potential=True),
    "exact": Reward(exact),
}


FUNCTION_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # MODULE:FUNCTION
_imported: dict[str, RewardFunction] = {}  # functions by MODULE:FUNCTION, from `import_reward`


def find_reward(reward: str | RewardFunction) -> Reward:
    """Return the reward of this name, or a row for a user's own function.

    A name MODULE:FUNCTION is valid whether or not `import_reward` has imported the function, since evaluations need no
    rewards. Nothing is imported here.

    Raises:
        SettingError: An unknown name, or a value that is neither a name nor callable.
    """
    if isinstance(reward, str):
        if FUNCTION_NAME.fullmatch(reward):
            return Reward(partial(_call_imported, reward), is_users=True)
        if reward not in REWARDS:
            raise unknown_name("reward", reward, [*REWARDS, "MODULE:FUNCTION"])
        return REWARDS[reward]
    if not callable(reward):
        raise SettingError(f"reward is a name ({', '.join(REWARDS)}) or a function of a Transition, not {reward!r}.")
    return Reward(reward, is_users=True)


def import_reward(name: str) -> RewardFunction:
    """Import a user's reward function, so that tasks can use it by its name.

    Importing runs the module. Nothing else imports a reward: the settings of somebody else's run may name any module.

    Args:
        name: MODULE:FUNCTION, where MODULE can be imported.

    Raises:
        SettingError: The name has another form, or the module or the function cannot be found or imported.
    """
    if not FUNCTION_NAME.fullmatch(name):
        raise SettingError(f"the reward {name!r} is not of the form MODULE:FUNCTION, such as rewards:mine.")
    module_name, _, function_name = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # the module is the user's and may raise anything
        missing = (
            isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}.")
        )
        reason = f"there is no module {module_name!r}" if missing else f"{module_name} raises {error!r}"
        raise SettingError(
            f"cannot import the reward {name!r}: {reason}; type --reward MODULE:FUNCTION for a file MODULE.py in this "
            "directory, or for an installed module."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        raise unknown_name(f"function of {module_name}", function_name, functions)
    _imported[name] = function
    return cast(RewardFunction, function)


def check_imported(reward: str | RewardFunction) -> None:
    """Reject the name of a user's function that `import_reward` has not imported.

    Raises:
        SettingError: It has not.
    """
    if isinstance(reward, str) and FUNCTION_NAME.fullmatch(reward) and reward not in _imported:
        raise SettingError(
            f"the reward {reward!r} is a function of a user's, which runs only if you name it: type --reward {reward}, "
            f"or call token_env.import_reward({reward!r}) in Python."
        )


def _call_imported(name: str, t: Transition) -> NDArray[np.float64]:
    check_imported(name)
    return _imported[name](t)
