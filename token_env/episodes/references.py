"""Reference policies: what a policy is worth is told by comparing it with these.

Unlike a learned policy they are given the state and the problem, not only the observation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import find
from token_env.optimum.cache import return_solver
from token_env.optimum.solver import remaining
from token_env.rules import rows as row_fields
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.state import State

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


def lookahead(
    dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The first token of the best answer to what the observation shows: the meanings due now and in the next k steps.

    It is what an agent can do at most that reads its observation without a guess about what comes after.
    """
    return _planned(dynamics, problems, state, dynamics.task.lookahead + 1)


class Optimal:
    """The next token of the best answer to what is left of the problem, from whatever has been said.

    A whole answer is planned once for problems that are played one step after another; a row that has left it is
    planned anew.
    """

    __name__ = "optimal"

    def __init__(self) -> None:
        self._plan: tuple[Dynamics, Problems, NDArray[np.int64]] | None = None  # of whom, of what, [N, L] tokens

    def __call__(
        self, dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """The tokens, [N]."""
        plan = self._plan
        if plan is None or plan[0] is not dynamics or plan[1] is not problems:
            plan = self._plan = dynamics, problems, return_solver(dynamics).tokens(problems)
        tokens, rows = plan[2], np.arange(len(state.step))
        chosen = tokens[rows, state.step]
        expected = np.where(state.step > 0, tokens[rows, state.step - 1], problems.start)
        left = np.flatnonzero(state.previous != expected)
        if len(left):
            chosen[left] = _planned(dynamics, row_fields.take(problems, left), row_fields.take(state, left))
        return chosen


def _planned(dynamics: Dynamics, problems: Problems, state: State, horizon: int | None = None) -> NDArray[np.int64]:
    """The first tokens, [N], of the best answers to the next `horizon` steps from these states; to all if None."""
    tokens = np.empty(len(state.step), dtype=np.int64)
    solver = return_solver(dynamics)
    for step in np.unique(state.step):
        rows = np.flatnonzero(state.step == step)
        rest = remaining(row_fields.take(problems, rows), row_fields.take(state, rows), horizon)
        tokens[rows] = solver.tokens(rest)[:, 0]
    return tokens


REFERENCES = {
    act.__name__: ReferencePolicy(act.__name__, act) for act in (random, fluent, verbatim, greedy, lookahead, Optimal())
}


def find_reference(name: str) -> ReferencePolicy:
    """The reference policy of this name.

    Raises:
        SettingError: an unknown name.
    """
    return find("reference policy", name, REFERENCES)
