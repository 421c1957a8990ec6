"""Search for the best answers within lists of successors, using the bound U; `solver.py` defines U and proves it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.optimum.successors import Successors
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.terms import adequacy, fluency_penalty

MAX_PATHS = 8192  # paths of all roots together; a problem with more equally good paths stays unsolved
MIN_PATHS = 16  # paths of each root that are always allowed
FOLD = 32  # number of tokens compared at once
ROUNDING = 2e-7  # float32 error per step, relative to the range of the values
TIE = 1e-6  # tokens within this distance of the best value count as optimal


class Bounds(NamedTuple):
    """U of N problems at each step and at the end, by place of the previous token."""

    relative: NDArray[np.float32]  # [L + 1, V, N] U minus the largest H of the step
    largest: NDArray[np.float64]  # [L + 1, N] largest H of the step
    unlisted: NDArray[np.float64]  # [L, N] bound on the remaining return if the next pair is not listed
    rounding: float  # largest rounding error of U


class Paths(NamedTuple):
    """P partial answers."""

    root: NDArray[np.int64]  # [P] root of each path
    problem: NDArray[np.int64]  # [P] problem of each path
    place: NDArray[np.int64]  # [P] place of the last token
    returns: NDArray[np.float64]  # [P] return so far


class SearchResult(NamedTuple):
    """The best path from each of Q roots."""

    returns: NDArray[np.float64]  # [Q] total return; -∞ if no listed pair continues
    dropped_bound: NDArray[np.float64]  # [Q] bound on the return of all paths that were not followed
    tokens: NDArray[np.int64]  # [Q, steps] tokens after the root

    def is_proven(self, rounding: float) -> NDArray[np.bool_]:
        """Return whether each path is proven optimal for its root, bool [Q].

        Args:
            rounding: Largest rounding error of the bound.
        """
        return self.dropped_bound < self.returns - rounding


class BoundedSearch:
    """A search for the best answers to N problems.

    Args:
        dynamics: The rules.
        problems: Problems of any length, [N].
        successors: Pairs of tokens to search.
    """

    def __init__(self, dynamics: Dynamics, problems: Problems, successors: Successors) -> None:
        self._language, self._task = dynamics.language, dynamics.task
        self._problems, self._successors = problems, successors
        self._size, self._length = problems.message.shape
        self._bounds = self._make_bounds()

    def best_tokens(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which problems are solved, bool [N], and their best tokens, int64 [N, L]."""
        result = self._follow(self._start_paths(), 0)
        return result.is_proven(self._bounds.rounding), result.tokens

    def optimal_first_tokens(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which problems are solved, bool [N], and which first tokens are optimal, bool [N, V]."""
        rounding = self._bounds.rounding
        dropped = np.full(self._size, -np.inf)
        first, _ = self._extend(self._start_paths(), 0, dropped)
        each = first._replace(root=np.arange(len(first.root)))  # every first token is a root of its own
        result = self._follow(each, 1)
        threshold = _group_max(result.returns, first.problem, self._size) - TIE  # value of an optimal token
        suboptimal = result.dropped_bound < threshold[first.problem] - rounding
        num_open = np.bincount(first.problem[~(suboptimal | result.is_proven(rounding))], minlength=self._size)
        optimal = np.zeros((self._size, self._task.vocab_size), dtype=np.bool_)
        near_best = result.returns >= threshold[first.problem]
        optimal[first.problem[near_best], self._successors.token[first.place[near_best]]] = True
        np.maximum(dropped, self._bounds.unlisted[0], out=dropped)
        return (num_open == 0) & (dropped < threshold - rounding), optimal

    def _start_paths(self) -> Paths:
        rows = np.arange(self._size)
        return Paths(rows, rows, self._successors.place[self._problems.start], np.zeros(self._size))

    def _make_bounds(self) -> Bounds:
        """Compute U from the last step to the first."""
        problems, successors = self._problems, self._successors
        size, length, vocab_size = self._size, self._length, self._task.vocab_size
        pay = (self._task.adequacy_scale * problems.weights)[:, :, None]
        # α w max(0, m·x) = max(0, m·(α w x)), hence [L, d, N]
        due = np.ascontiguousarray((pay * problems.meanings).transpose(1, 2, 0), dtype=np.float32)
        meaning = self._language.meaning[successors.token].astype(np.float32)
        maximise = successors.maximiser(size)
        relative = np.empty((length + 1, vocab_size, size), dtype=np.float32)
        largest = np.zeros((length + 1, size))
        padded = np.full((-(-vocab_size // FOLD) * FOLD, size), -np.inf, dtype=np.float32)
        values, zeros = padded[:vocab_size], np.zeros((vocab_size, size), dtype=np.float32)
        relative[length] = 0.0
        for step in range(length - 1, -1, -1):
            np.matmul(meaning, due[step], out=values)
            np.maximum(values, zeros, out=values)
            values += relative[step + 1]
            # largest H of each problem; NumPy is five times as fast over long rows as over short ones
            step_max = padded.reshape(-1, FOLD * size).max(axis=0).reshape(FOLD, size).max(axis=0)
            maximise(values, relative[step])
            relative[step] -= step_max
            np.maximum(relative[step], -np.float32(successors.gap), out=relative[step])
            largest[step] = largest[step + 1] + step_max
        spread = float(pay.max()) - float(relative.min())
        return Bounds(relative, largest, largest[:-1] - successors.gap, ROUNDING * length * spread)

    def _follow(self, paths: Paths, step: int) -> SearchResult:
        """Extend these paths from `step` to the end and return the best of each root; every path has its own root."""
        size = len(paths.root)
        dropped_bound = np.full(size, -np.inf)
        trail: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # per step: tokens and parent paths
        for current in range(step, self._length):
            np.maximum.at(dropped_bound, paths.root, paths.returns + self._bounds.unlisted[current, paths.problem])
            # at the last step returns are exact and the best path is always kept, so no bound is needed
            step_bound = dropped_bound if current + 1 < self._length else dropped_bound.copy()
            paths, parents = self._extend(paths, current, step_bound)
            trail.append((self._successors.token[paths.place], parents))
        returns = _group_max(paths.returns, paths.root, size)
        tokens = np.zeros((size, len(trail)), dtype=np.int64)
        best = np.flatnonzero(paths.returns == returns[paths.root])[::-1]
        best = best[np.unique(paths.root[best], return_index=True)[1]]
        roots = paths.root[best]
        for index, (tokens_at_step, parents) in reversed(list(enumerate(trail))):
            tokens[roots, index] = tokens_at_step[best]
            best = parents[best]
        return SearchResult(returns, dropped_bound, tokens)

    def _extend(self, paths: Paths, step: int, dropped_bound: NDArray[np.float64]) -> tuple[Paths, NDArray[np.int64]]:
        """Extend every path by one token, drop hopeless paths, and return the paths and the parent of each.

        Of too many paths from one root the best are kept; `dropped_bound` [roots] is raised to the bound of the others.
        """
        successors, bounds = self._successors, self._bounds
        first, second = successors.pairs_from(paths.place)
        root, problem = paths.root[first], paths.problem[first]
        previous, token = successors.token[paths.place[first]], successors.token[second]
        returns = paths.returns[first] + self._rewards(problem, step, previous, token)
        bound = returns + bounds.relative[step + 1, second, problem] + bounds.largest[step + 1, problem]
        margin = TIE + 2.0 * bounds.rounding  # covers the rounding of two bounds
        candidates = np.flatnonzero(bound >= _group_max(bound, root, len(dropped_bound))[root] - margin)
        # of the paths of a root that end in the same token, keep the one with the highest return
        candidates = candidates[np.lexsort((-returns[candidates], second[candidates], root[candidates]))]
        candidates = candidates[_run_starts(root[candidates], second[candidates])]
        # of all paths of a root, keep those with the highest bounds
        candidates = candidates[np.lexsort((-bound[candidates], root[candidates]))]
        run_starts = np.flatnonzero(_run_starts(root[candidates]))
        rank = np.arange(len(candidates)) - np.repeat(run_starts, np.diff(np.append(run_starts, len(candidates))))
        max_paths = max(MIN_PATHS, MAX_PATHS // max(1, len(dropped_bound)))
        selected, surplus = candidates[rank < max_paths], candidates[rank >= max_paths]
        np.maximum.at(dropped_bound, root[surplus], bound[surplus])
        return Paths(root[selected], problem[selected], second[selected], returns[selected]), first[selected]

    def _rewards(
        self, problem: NDArray[np.int64], step: int, previous: NDArray[np.int64], token: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the dense rewards of the tokens in these problems after the previous tokens, all [pairs]."""
        problems, task, language = self._problems, self._task, self._language
        cosine = np.vecdot(language.meaning[token], problems.meanings[problem, step])
        adequacies = adequacy(cosine, problems.weights[problem, step], task.adequacy_scale)
        surprisal = language.surprisal(previous, token)
        return adequacies - fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)


def _group_max(values: NDArray[np.float64], group: NDArray[np.int64], num_groups: int) -> NDArray[np.float64]:
    """Return the largest of the values [n] in each group, [num_groups]; -∞ for empty groups."""
    largest = np.full(num_groups, -np.inf)
    np.maximum.at(largest, group, values)
    return largest


def _run_starts(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a run of equal values starts, bool [n], in columns [n] that are sorted together."""
    table = np.stack(columns)
    return np.concatenate([[True], (table[:, 1:] != table[:, :-1]).any(axis=0)])[: table.shape[1]]
