"""Solve problems exactly: optimal returns, optimal tokens, and all optimal actions of a state.

Rewards couple neighbouring tokens only, so dynamic programming over the previous token a is exact. With
h_t(b) = α w_t max(0, m_b·x_t) + V_{t+1}(b), the highest return from step t on is

    V_t(a) = max_b [ h_t(b) - c(b|a) ],    c(b|a) = λ max(0, s(b|a) - τ),    V_{L+1} = 0.

This takes V² operations per step. The solver lists only the successors b of a with c(b|a) ≤ g, about 30 of 5,000, and

    U_t(a) = max( max_{b listed} [ H_t(b) - c(b|a) ],  max_b H_t(b) - g )

with H_t(b) = α w_t max(0, m_b·x_t) + U_{t+1}(b)

is an upper bound of V. Proof, backwards in t: U_{L+1} = V_{L+1}. If U_{t+1} ≥ V_{t+1}, then H_t ≥ h_t; hence the
value of the best b of V_t(a) is at most the first term if b is listed, and at most the second if it is not. ∎

U is computed in float32 (`bounded_search.py`). Then, in float64, all paths are followed whose return so far plus U
is within a margin of the best; the margin exceeds the total rounding error. A path is optimal if it ends with a
higher return than the bound of every path that leaves the lists. If no path does, the problem is solved again with
a larger g, and finally by dynamic programming over all pairs in float64 (`plain_pass.py`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.optimum import plain_pass
from token_env.optimum.bounded_search import TIE, BoundedSearch
from token_env.optimum.successors import find_successors
from token_env.rules import rows as row_fields
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.state import State

CHUNK, CHUNK_BYTES = 32, 64_000_000  # number of problems solved together, and limit for the memory of their bounds
GAPS = (2.0, 3.0, 5.0)  # g in units of α, tried in this order; the first solves 95 % of the registered sizes' problems

# From a search over N problems to which of them are solved, bool [N], and their answers, [N, …].
Attempt = Callable[[BoundedSearch], tuple[NDArray[np.bool_], NDArray[Any]]]


class Solution(NamedTuple):
    """The optimum of N problems of L steps."""

    returns: NDArray[np.float64]  # [N] optimal return of each problem
    tokens: NDArray[np.int64]  # [N, L] an optimal answer; one of several if there is a tie


class Solver:
    """The exact optimum under the constants of a task.

    The rewards dense, terminal and potential pay the same return at different times, so they share one optimum (without
    discount); the optimum of `exact` is the message itself.

    Args:
        dynamics: The rules.
        gaps: Values of g in units of α, tried in this order; empty for dynamic programming over all pairs at once.

    Raises:
        SettingError: The task's reward is a user's function, which may depend on more than neighbouring tokens.
    """

    def __init__(self, dynamics: Dynamics, gaps: Sequence[float] = GAPS) -> None:
        task = dynamics.task
        if dynamics.reward.is_users:
            raise SettingError(
                "the optimum is known for rewards that add up over neighbouring tokens (dense, terminal, potential, "
                f"exact), not for {task.reward!r}; type reward='dense', say."
            )
        self._dynamics = dynamics
        self._task = task
        self._gaps = [gap * task.adequacy_scale for gap in gaps]
        self._exact = task.reward == "exact"

    def solve(self, problems: Problems) -> Solution:
        """Return the optimal return of each problem, [N], and tokens that earn it, [N, L].

        Args:
            problems: Problems of the task's length, [N].
        """
        tokens = self.tokens(problems)
        if self._exact:
            return Solution(np.full(len(tokens), float(tokens.shape[1])), tokens)
        state = self._dynamics.initial(problems)
        for action in tokens.T:
            state = self._dynamics.transition(problems, state, action).next_state
        return Solution(state.adequacy - state.fluency_penalty, tokens)

    def tokens(self, problems: Problems) -> NDArray[np.int64]:
        """Return an optimal answer to each problem, int64 [N, L].

        Args:
            problems: Problems of any length, [N].
        """
        if self._exact:
            return problems.message.copy()
        if not self._task.fluency_scale:
            return self._dynamics.language.nearest(problems.meanings)
        tokens = np.empty(problems.message.shape, dtype=np.int64)
        return self._escalate(
            problems, tokens, BoundedSearch.best_tokens, partial(plain_pass.best_tokens, self._dynamics)
        )

    def optimal_actions(self, problems: Problems, state: State) -> NDArray[np.bool_]:
        """Return which tokens are optimal in these states, bool [N, V]: within 1e-6 of the best value.

        Args:
            problems: Problems of the rows, [N].
            state: Any states of these problems, [N]; every row must have a step left.
        """
        if self._exact:
            due = problems.message[np.arange(len(state.step)), state.step]
            return due[:, None] == np.arange(self._task.vocab_size)
        if not self._task.fluency_scale:
            rewards = self._dynamics.dense_rewards(problems, state)
            return rewards >= rewards.max(axis=1, keepdims=True) - TIE
        optimal = np.empty((len(state.step), self._task.vocab_size), dtype=np.bool_)
        for step in np.unique(state.step):
            rows = np.flatnonzero(state.step == step)
            rest = remaining(row_fields.take(problems, rows), row_fields.take(state, rows))
            answers = np.empty((len(rows), self._task.vocab_size), dtype=np.bool_)
            optimal[rows] = self._escalate(rest, answers, BoundedSearch.optimal_first_tokens, self._plain_first_actions)
        return optimal

    def _escalate(
        self,
        problems: Problems,
        answers: NDArray[Any],
        attempt: Attempt,
        solve_plainly: Callable[[Problems], NDArray[Any]],
    ) -> NDArray[Any]:
        """Fill in the answers, [N, …]: retry unsolved problems with longer lists, and finally over all pairs."""
        task, language = self._task, self._dynamics.language
        pending, length = np.arange(len(answers)), problems.message.shape[1]
        chunk = max(1, min(CHUNK, CHUNK_BYTES // (4 * task.vocab_size * (length + 1))))
        for gap in self._gaps:
            successors = find_successors(language, task.surprisal_budget, task.fluency_scale, gap)
            if successors is None or not len(pending):
                break
            unsolved = []
            for rows in _chunks(pending, chunk):
                with np.errstate(over="ignore", invalid="ignore"):  # problems beyond the range of float32 stay unsolved
                    search = BoundedSearch(self._dynamics, row_fields.take(problems, rows), successors)
                    solved, answers[rows] = attempt(search)
                unsolved.append(rows[~solved])
            pending = np.concatenate(unsolved)
        for rows in _chunks(pending, chunk):
            answers[rows] = solve_plainly(row_fields.take(problems, rows))
        return answers

    def _plain_first_actions(self, problems: Problems) -> NDArray[np.bool_]:
        values = plain_pass.first_token_values(self._dynamics, problems)
        return values >= values.max(axis=1, keepdims=True) - TIE


def remaining(problems: Problems, state: State, horizon: int | None = None) -> Problems:
    """Return the rest of these problems, [N], as problems that start with the previous token.

    Args:
        problems: Problems of the rows, [N].
        state: States of these problems, all at the same step, [N].
        horizon: Number of steps to return; None for all.
    """
    step = int(state.step[0])
    window = slice(step, None if horizon is None else step + horizon)
    return problems._replace(
        start=state.previous,
        message=problems.message[:, window],
        meanings=problems.meanings[:, window],
        weights=problems.weights[:, window],
    )


def _chunks(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Split these rows into chunks of at most `size`."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]
