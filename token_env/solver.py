"""Solve problems exactly: the best possible return, tokens that earn it, every optimal action of a state.

Rewards couple neighbouring tokens only, so dynamic programming over the previous token a is exact: with
h_t(b) = α w_t max(0, m_b·x_t) + V_{t+1}(b), the most that can be earned from step t on is

    V_t(a) = max_b [ h_t(b) - c(b|a) ],    c(b|a) = λ max(0, s(b|a) - τ),    V_{L+1} = 0.

That is V² work a step. Here only the successors b of a with c(b|a) ≤ g are listed, some thirty of 5,000, and

    U_t(a) = max( max_{b listed} [ H_t(b) - c(b|a) ],  max_b H_t(b) - g )

with H_t(b) = α w_t max(0, m_b·x_t) + U_{t+1}(b)

bounds V from above. Proof, backwards in t: U_{L+1} = V_{L+1}; and if U_{t+1} ≥ V_{t+1}, then H_t ≥ h_t, so that the
best b of V_t(a) is worth no more than the first term if it is listed, and no more than the second if it is not. ∎

U is computed in float32. Then, in float64, every path is followed whose earnings so far plus U come within a margin
of the best; the margin is wider than what rounding can add up to. A path that ends with more than any path could earn
that left the lists is optimal. Where none does, the problem is solved again with a larger g, at last by the plain pass
over all pairs in float64.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env import plain_pass
from token_env import rows as row_fields
from token_env.dynamics import Dynamics
from token_env.errors import SettingError
from token_env.problem import Problems
from token_env.state import State
from token_env.successors import Successors, find_successors
from token_env.terms import adequacy, fluency_penalty

CHUNK, CHUNK_BYTES = 32, 64_000_000  # problems solved side by side, and what their bounds may take
GAPS = (2.0, 3.0, 5.0)  # g in units of α, one after another; the first solves 95 % of the registered sizes' problems
MAX_PATHS, LEAST_PATHS = 8192, 16  # followed in all, and from each root; where more are as good, the plain pass decides
FOLD = 32  # tokens whose worth is compared at once
ROUNDING = 2e-7  # of float32 in a step, relative to the range of the values
TIE = 1e-6  # actions count as optimal that are worth at most so much less than the best

# Tries to solve N problems with these lists: which are solved, [N], and their answers, [N, …].
Attempt = Callable[[Problems, Successors], tuple[NDArray[np.bool_], NDArray[Any]]]


class Solution(NamedTuple):
    """The optimum of N problems of L steps."""

    returns: NDArray[np.float64]  # [N] the most that can be earned
    tokens: NDArray[np.int64]  # [N, L] what earns it; one of several where there is a tie


class Bounds(NamedTuple):
    """U of N problems by place of the previous token, for each step and for the end, where nothing is left to earn."""

    ahead: NDArray[np.float32]  # [L + 1, V, N] U less the largest H of its step
    largest: NDArray[np.float64]  # [L + 1, N] that H
    unlisted: NDArray[np.float64]  # [L, N] what could be earned from here on if the next pair is not listed
    rounding: float  # how far U may be off


class Paths(NamedTuple):
    """The beginnings of P answers."""

    root: NDArray[np.int64]  # [P] what it began with
    problem: NDArray[np.int64]  # [P]
    place: NDArray[np.int64]  # [P] of the last token
    earned: NDArray[np.float64]  # [P]


class Followed(NamedTuple):
    """Where Q roots lead at best."""

    earned: NDArray[np.float64]  # [Q] in all; -∞ where nothing listed goes on
    missed: NDArray[np.float64]  # [Q] what could be earned by leaving the lists
    tokens: NDArray[np.int64]  # [Q, steps] said from there on

    def proven(self, rounding: float) -> NDArray[np.bool_]:
        """Which of them nothing can better, [Q]."""
        return self.missed < self.earned - rounding


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
        return self._escalate(problems, tokens, self._try_path, partial(plain_pass.best_tokens, self._dynamics))

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
            optimal[rows] = self._escalate(rest, answers, self._try_first_actions, self._plain_first_actions)
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
                    solved, answers[rows] = attempt(row_fields.take(problems, rows), successors)
                unsolved.append(rows[~solved])
            pending = np.concatenate(unsolved)
        for rows in _chunks(pending, chunk):
            answers[rows] = plain(row_fields.take(problems, rows))
        return answers

    def _try_path(self, problems: Problems, successors: Successors) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """An `Attempt` at the best tokens, [N, L]."""
        bounds = self._bounds(problems, successors)
        found = self._follow(problems, successors, bounds, _starts(problems, successors), 0)
        return found.proven(bounds.rounding), found.tokens

    def _try_first_actions(
        self, problems: Problems, successors: Successors
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """An `Attempt` at the set of optimal first tokens, [N, V]."""
        size = len(problems.start)
        bounds = self._bounds(problems, successors)
        left = np.full(size, -np.inf)
        first, _ = self._extend(problems, successors, bounds, _starts(problems, successors), 0, left)
        each = first._replace(root=np.arange(len(first.root)))  # is followed on its own
        found = self._follow(problems, successors, bounds, each, 1)
        least = _largest(found.earned, first.problem, size) - TIE  # that an optimal token is worth
        beaten = found.missed < least[first.problem] - bounds.rounding
        open_ = np.bincount(first.problem[~(beaten | found.proven(bounds.rounding))], minlength=size)
        optimal = np.zeros((size, self._task.vocab_size), dtype=np.bool_)
        chosen = found.earned >= least[first.problem]
        optimal[first.problem[chosen], successors.token[first.place[chosen]]] = True
        np.maximum(left, bounds.unlisted[0], out=left)
        return (open_ == 0) & (left < least - bounds.rounding), optimal

    def _plain_first_actions(self, problems: Problems) -> NDArray[np.bool_]:
        worths = plain_pass.first_worths(self._dynamics, problems)
        return worths >= worths.max(axis=1, keepdims=True) - TIE

    def _bounds(self, problems: Problems, successors: Successors) -> Bounds:
        """U of these problems, by a pass from the last step to the first."""
        size, length = problems.message.shape
        vocab_size = self._task.vocab_size
        pay = (self._task.adequacy_scale * problems.weights)[:, :, None]
        # α w max(0, m·x) = max(0, m·(α w x)), hence [L, d, N]
        meant = np.ascontiguousarray((pay * problems.meanings).transpose(1, 2, 0), dtype=np.float32)
        meaning = self._dynamics.language.meaning[successors.token].astype(np.float32)
        maximise = successors.maximiser(size)
        ahead = np.empty((length + 1, vocab_size, size), dtype=np.float32)
        largest = np.zeros((length + 1, size))
        padded = np.full((-(-vocab_size // FOLD) * FOLD, size), -np.inf, dtype=np.float32)
        worth, nothing = padded[:vocab_size], np.zeros((vocab_size, size), dtype=np.float32)
        ahead[length] = 0.0
        for step in range(length - 1, -1, -1):
            np.matmul(meaning, meant[step], out=worth)
            np.maximum(worth, nothing, out=worth)
            worth += ahead[step + 1]
            # the largest worth of each problem; NumPy is five times as fast over long rows as over short ones
            most = padded.reshape(-1, FOLD * size).max(axis=0).reshape(FOLD, size).max(axis=0)
            maximise(worth, ahead[step])
            ahead[step] -= most
            np.maximum(ahead[step], -np.float32(successors.gap), out=ahead[step])
            largest[step] = largest[step + 1] + most
        spread = float(pay.max()) - float(ahead.min())
        return Bounds(ahead, largest, largest[:-1] - successors.gap, ROUNDING * length * spread)

    def _follow(self, problems: Problems, successors: Successors, bounds: Bounds, paths: Paths, step: int) -> Followed:
        """Go on with these paths from this step to the end, a root each, wherever the best may lie."""
        size = len(paths.root)
        missed = np.full(size, -np.inf)
        trail: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # of each step: tokens, and what they follow
        length = problems.message.shape[1]
        for now in range(step, length):
            np.maximum.at(missed, paths.root, paths.earned + bounds.unlisted[now, paths.problem])
            # at the end what was earned is exact, and the best of a crowd is kept: nothing is missed
            crowded_out = missed if now + 1 < length else missed.copy()
            paths, before = self._extend(problems, successors, bounds, paths, now, crowded_out)
            trail.append((successors.token[paths.place], before))
        earned = _largest(paths.earned, paths.root, size)
        tokens = np.zeros((size, len(trail)), dtype=np.int64)
        best = np.flatnonzero(paths.earned == earned[paths.root])[::-1]
        best = best[np.unique(paths.root[best], return_index=True)[1]]
        roots = paths.root[best]
        for place, (said, before) in reversed(list(enumerate(trail))):
            tokens[roots, place] = said[best]
            best = before[best]
        return Followed(earned, missed, tokens)

    def _extend(
        self,
        problems: Problems,
        successors: Successors,
        bounds: Bounds,
        paths: Paths,
        step: int,
        missed: NDArray[np.float64],
    ) -> tuple[Paths, NDArray[np.int64]]:
        """Every path a token longer, but for those that cannot be a root's best; and which path each goes on from.

        Of too many from one root the best are kept; `missed`, [roots], learns what the others could earn.
        """
        first, second = successors.pairs_from(paths.place)
        root, problem = paths.root[first], paths.problem[first]
        previous, token = successors.token[paths.place[first]], successors.token[second]
        earned = paths.earned[first] + self._rewards(problems, problem, step, previous, token)
        bound = earned + bounds.ahead[step + 1, second, problem] + bounds.largest[step + 1, problem]
        margin = TIE + 2.0 * bounds.rounding  # neither what is left out nor what is kept is off by more than that
        near = np.flatnonzero(bound >= _largest(bound, root, len(missed))[root] - margin)
        # of several paths of a root that arrive at one token, the one that has earned most
        near = near[np.lexsort((-earned[near], second[near], root[near]))]
        near = near[_begins(root[near], second[near])]
        # of all paths of a root, those with the best prospects
        near = near[np.lexsort((-bound[near], root[near]))]
        begin = np.flatnonzero(_begins(root[near]))
        rank = np.arange(len(near)) - np.repeat(begin, np.diff(np.append(begin, len(near))))
        most = max(LEAST_PATHS, MAX_PATHS // max(1, len(missed)))
        kept, crowd = near[rank < most], near[rank >= most]
        np.maximum.at(missed, root[crowd], bound[crowd])
        return Paths(root[kept], problem[kept], second[kept], earned[kept]), first[kept]

    def _rewards(
        self,
        problems: Problems,
        problem: NDArray[np.int64],
        step: int,
        previous: NDArray[np.int64],
        token: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """What the tokens earn in these problems at this step after the previous ones, all [pairs]."""
        task, language = self._task, self._dynamics.language
        cosine = np.vecdot(language.meaning[token], problems.meanings[problem, step])
        earned = adequacy(cosine, problems.weights[problem, step], task.adequacy_scale)
        surprisal = language.surprisal(previous, token)
        return earned - fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)


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


def _starts(problems: Problems, successors: Successors) -> Paths:
    rows = np.arange(len(problems.start))
    return Paths(rows, rows, successors.place[problems.start], np.zeros(len(rows)))


def _largest(values: NDArray[np.float64], group: NDArray[np.int64], num_groups: int) -> NDArray[np.float64]:
    """The largest of the values, [n], of each group, [num_groups]; -∞ where a group has none."""
    largest = np.full(num_groups, -np.inf)
    np.maximum.at(largest, group, values)
    return largest


def _begins(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a run of equal values begins, [n], in columns [n] that are sorted together."""
    table = np.stack(columns)
    return np.concatenate([[True], (table[:, 1:] != table[:, :-1]).any(axis=0)])[: table.shape[1]]


def _chunks(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """These rows, so many at a time; none for none."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]
