"""Define reference policies, with which learned policies are compared.

Unlike learned policies they get the state and the problems, not only the observation.
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
    """A policy with access to the rules: (dynamics, problems, state, generator) → actions [N]."""

    name: str
    act: Act


def random(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return uniformly random tokens, [N]."""
    return generator.integers(dynamics.task.vocab_size, size=len(state.step))


def fluent(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the least surprising tokens, [N], regardless of the message."""
    return dynamics.language.surprisals(state.previous).argmin(axis=1)


def verbatim(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the words of the message, [N]."""
    return problems.message[np.arange(len(state.step)), state.step]


def greedy(dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the tokens with the highest immediate dense reward, [N]."""
    return dynamics.dense_rewards(problems, state).argmax(axis=1)


def lookahead(
    dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the first tokens, [N], of the best answers to the meanings due now and in the next k steps.

    This is the best that an agent can do with the observed meanings, without a guess about later ones.
    """
    return _plan_first_tokens(dynamics, problems, state, dynamics.task.lookahead + 1)


class Optimal:
    """Plays the next token of an optimal answer to the rest of the problem, from any state.

    The whole answer is planned once per batch of problems; rows that deviate from the plan are planned again.
    """

    __name__ = "optimal"

    def __init__(self) -> None:
        self._plan: tuple[Dynamics, Problems, NDArray[np.int64]] | None = None  # rules, problems, tokens [N, L]

    def __call__(
        self, dynamics: Dynamics, problems: Problems, state: State, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the tokens, int64 [N]."""
        plan = self._plan
        if plan is None or plan[0] is not dynamics or plan[1] is not problems:
            plan = self._plan = dynamics, problems, return_solver(dynamics).tokens(problems)
        tokens, rows = plan[2], np.arange(len(state.step))
        actions = tokens[rows, state.step]
        expected = np.where(state.step > 0, tokens[rows, state.step - 1], problems.start)
        deviating = np.flatnonzero(state.previous != expected)
        if len(deviating):
            actions[deviating] = _plan_first_tokens(
                dynamics, row_fields.take(problems, deviating), row_fields.take(state, deviating)
            )
        return actions


def _plan_first_tokens(
    dynamics: Dynamics, problems: Problems, state: State, horizon: int | None = None
) -> NDArray[np.int64]:
    """Return the first tokens, [N], of the best answers to the next `horizon` steps (all if None) from these states."""
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
    """Return the reference policy of this name.

    Raises:
        SettingError: An unknown name.
    """
    return find("reference policy", name, REFERENCES)
