"""Reference policies: what a policy is worth is told by comparing it with these.

Unlike a learned policy they are given the state and the problem, not only the observation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.dynamics import Dynamics
from token_env.errors import find
from token_env.problem import Problems
from token_env.state import State

Act = Callable[[Dynamics, Problems, State, np.random.Generator], NDArray[np.int64]]


class ReferencePolicy(NamedTuple):
    """A policy that knows the rules: (dynamics, problems, state, generator) → actions [N]."""

    name: str
    act: Act


def random(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """Any token, all equally likely."""
    return generator.integers(dynamics.task.vocab_size, size=len(state.step))


def fluent(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """The least surprising token, whatever the message."""
    return dynamics.language.surprisals(state.previous).argmin(axis=1)


def verbatim(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """The word of the message itself."""
    return problems.message[np.arange(len(state.step)), state.step]


def greedy(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """The token with the best immediate dense reward."""
    return dynamics.dense_rewards(problems, state).argmax(axis=1)


REFERENCES = {act.__name__: ReferencePolicy(act.__name__, act) for act in (random, fluent, verbatim, greedy)}


def find_reference(name: str) -> ReferencePolicy:
    """The reference policy of this name.

    Raises:
        SettingError: an unknown name.
    """
    return find("reference policy", name, REFERENCES)
