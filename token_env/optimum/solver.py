"""Solve problems exactly: the best possible return, tokens that earn it, every optimal action of a state.

Rewards couple neighbouring tokens only, so dynamic programming over the previous token a is exact: with
h_t(b) = α w_t max(0, m_b·x_t) + V_{t+1}(b), the most that can be earned from step t on is

    V_t(a) = max_b [ h_t(b) - c(b|a) ],    c(b|a) = λ max(0, s(b|a) - τ),    V_{L+1} = 0.

That is V² work a step. Here only the successors b of a with c(b|a) ≤ g are listed, some thirty of 5,000, and

    U_t(a) = max( max_{b listed} [ H_t(b) - c(b|a) ],  max_b H_t(b) - g )

with H_t(b) = α w_t max(0, m_b·x_t) + U_{t+1}(b)

bounds V from above. Proof, backwards in t: U_{L+1} = V_{L+1}; and if U_{t+1} ≥ V_{t+1}, then H_t ≥ h_t, so that the
best b of V_t(a) is worth no more than the first term if it is listed, and no more than the second if it is not. ∎

U is computed in float32 (`bounded_search.py`). Then, in float64, every path is followed whose earnings so far plus U
come within a margin of the best; the margin is wider than what rounding can add up to. A path that ends with more than
any path could earn that left the lists is optimal. Where none does, the problem is solved again with a larger g, at
last by the plain pass over all pairs in float64.
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

CHUNK, CHUNK_BYTES = 32, 64_000_000  # problems solved side by side, and what their bounds may take
GAPS = (2.0, 3.0, 5.0)  # g in units of α, one after another; the first solves 95 % of the registered sizes' problems

# Asks a search among N problems for something: which are solved, [N], and their answers, [N, …].
Attempt = Callable[[BoundedSearch], tuple[NDArray[np.bool_], NDArray[Any]]]


class Solution(NamedTuple):
    """The optimum of N problems of L steps."""

    returns: NDArray[np.float64]  # [N] the most that can be earned
    tokens: NDArray[np.int64]  # [N, L] what earns it; one of several where there is a tie


class Solver:
    """The optimum under the constants of a task.

    The rewards dense, terminal and potential pay one return at different times, and so have one optimum (without
    discount); that of `exact` is the message itself.

    Args:
        dynamics: the rules.
        gaps: g in units of α, one after another; without any, the plain pass is made at once.

    Raises:
        SettingError: the task's reward is a user's function, which may depend on more than neighbouring tokens.
    """

    def __init__(self, dynamics: Dynamics, gaps: Sequence[float] = GAPS) -> None:
        task = dynamics.task
        if not isinstance(task.reward, str):
            raise SettingError(
                "the optimum is known of rewards that add up over neighbouring tokens (dense, terminal, potential, "
                f"exact), not of {task.reward!r}; type reward='dense', say."
            )
        self._dynamics = dynamics
        self._task = task
        self._gaps = [gap * task.adequacy_scale for gap in gaps]
        self._exact = task.reward == "exact"

    def solve(self, problems: Problems) -> Solution:
        """The best possible return of each problem, [N], and tokens that earn it; problems as long as the task's."""
        tokens = self.tokens(problems)
        if self._exact:
            return Solution(np.full(len(tokens), float(tokens.shape[1])), tokens)
        state = self._dynamics.initial(problems)
        for said in tokens.T:
            state = self._dynamics.transition(problems, state, said).next_state
        return Solution(state.adequacy - state.fluency_penalty, tokens)

    def tokens(self, problems: Problems) -> NDArray[np.int64]:
        """A best answer to each problem, [N, L]; the problems may be longer or shorter than the task's."""
        if self._exact:
            return problems.message.copy()
        if not self._task.fluency_scale:
            return self._dynamics.language.nearest(problems.meanings)
        tokens = np.empty(problems.message.shape, dtype=np.int64)
        return self._escalate(
            problems, tokens, BoundedSearch.best_tokens, partial(plain_pass.best_tokens, self._dynamics)
        )

    def optimal_actions(self, problems: Problems, state: State) -> NDArray[np.bool_]:
        """Which tokens are optimal to say in these states, [N, V]: worth at most 1e-6 less than the best.

        Args:
            problems: that are being played, [N].
            state: how far they are, whatever has been said; every row must have a step left.
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
        plain: Callable[[Problems], NDArray[Any]],
    ) -> NDArray[Any]:
        """Fill in the answers, [N, …]: what short lists leave unsolved is tried with longer ones, at last without."""
        task, language = self._task, self._dynamics.language
        pending, length = np.arange(len(answers)), problems.message.shape[1]
        chunk = max(1, min(CHUNK, CHUNK_BYTES // (4 * task.vocab_size * (length + 1))))
        for gap in self._gaps:
            successors = find_successors(language, task.surprisal_budget, task.fluency_scale, gap)
            if successors is None or not len(pending):
                break
            unsolved = []
            for rows in _chunks(pending, chunk):
                with np.errstate(over="ignore", invalid="ignore"):  # what is beyond float32 is left unsolved
                    search = BoundedSearch(self._dynamics, row_fields.take(problems, rows), successors)
                    solved, answers[rows] = attempt(search)
                unsolved.append(rows[~solved])
            pending = np.concatenate(unsolved)
        for rows in _chunks(pending, chunk):
            answers[rows] = plain(row_fields.take(problems, rows))
        return answers

    def _plain_first_actions(self, problems: Problems) -> NDArray[np.bool_]:
        worths = plain_pass.first_worths(self._dynamics, problems)
        return worths >= worths.max(axis=1, keepdims=True) - TIE


def remaining(problems: Problems, state: State, horizon: int | None = None) -> Problems:
    """What is left of these problems, [N], as problems of their own that start with what was said last.

    Args:
        problems: that are being played.
        state: how far they are, all at one step.
        horizon: only so many steps of it; None for all.
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
    """These rows, so many at a time; none for none."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]
