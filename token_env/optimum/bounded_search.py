"""Search the answers to problems among listed successors, under the bound U that `solver.py` states and proves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.optimum.successors import Successors
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.terms import adequacy, fluency_penalty

MAX_PATHS, LEAST_PATHS = 8192, 16  # followed in all, and from each root; with more as good nothing is proven
FOLD = 32  # tokens whose worth is compared at once
ROUNDING = 2e-7  # of float32 in a step, relative to the range of the values
TIE = 1e-6  # tokens count as optimal that are worth at most so much less than the best


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


class BoundedSearch:
    """A search for the best answers to N problems.

    Args:
        dynamics: the rules.
        problems: [N], of any length.
        successors: the pairs of tokens that are looked at.
    """

    def __init__(self, dynamics: Dynamics, problems: Problems, successors: Successors) -> None:
        self._language, self._task = dynamics.language, dynamics.task
        self._problems, self._successors = problems, successors
        self._size, self._length = problems.message.shape
        self._bounds = self._make_bounds()

    def best_tokens(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which problems are solved, [N], and the best tokens found, [N, L]."""
        found = self._follow(self._starts(), 0)
        return found.proven(self._bounds.rounding), found.tokens

    def optimal_first_tokens(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which problems are solved, [N], and which tokens are then optimal to begin with, [N, V]."""
        rounding = self._bounds.rounding
        left = np.full(self._size, -np.inf)
        first, _ = self._extend(self._starts(), 0, left)
        each = first._replace(root=np.arange(len(first.root)))  # is followed on its own
        found = self._follow(each, 1)
        least = _largest(found.earned, first.problem, self._size) - TIE  # that an optimal token is worth
        beaten = found.missed < least[first.problem] - rounding
        open_ = np.bincount(first.problem[~(beaten | found.proven(rounding))], minlength=self._size)
        optimal = np.zeros((self._size, self._task.vocab_size), dtype=np.bool_)
        chosen = found.earned >= least[first.problem]
        optimal[first.problem[chosen], self._successors.token[first.place[chosen]]] = True
        np.maximum(left, self._bounds.unlisted[0], out=left)
        return (open_ == 0) & (left < least - rounding), optimal

    def _starts(self) -> Paths:
        rows = np.arange(self._size)
        return Paths(rows, rows, self._successors.place[self._problems.start], np.zeros(self._size))

    def _make_bounds(self) -> Bounds:
        """U, by a pass from the last step to the first."""
        problems, successors = self._problems, self._successors
        size, length, vocab_size = self._size, self._length, self._task.vocab_size
        pay = (self._task.adequacy_scale * problems.weights)[:, :, None]
        # α w max(0, m·x) = max(0, m·(α w x)), hence [L, d, N]
        meant = np.ascontiguousarray((pay * problems.meanings).transpose(1, 2, 0), dtype=np.float32)
        meaning = self._language.meaning[successors.token].astype(np.float32)
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

    def _follow(self, paths: Paths, step: int) -> Followed:
        """Go on with these paths from this step to the end, a root each, wherever the best may lie."""
        size = len(paths.root)
        missed = np.full(size, -np.inf)
        trail: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # of each step: tokens, and what they follow
        for now in range(step, self._length):
            np.maximum.at(missed, paths.root, paths.earned + self._bounds.unlisted[now, paths.problem])
            # at the end what was earned is exact, and the best of a crowd is kept: nothing is missed
            crowded_out = missed if now + 1 < self._length else missed.copy()
            paths, before = self._extend(paths, now, crowded_out)
            trail.append((self._successors.token[paths.place], before))
        earned = _largest(paths.earned, paths.root, size)
        tokens = np.zeros((size, len(trail)), dtype=np.int64)
        best = np.flatnonzero(paths.earned == earned[paths.root])[::-1]
        best = best[np.unique(paths.root[best], return_index=True)[1]]
        roots = paths.root[best]
        for place, (said, before) in reversed(list(enumerate(trail))):
            tokens[roots, place] = said[best]
            best = before[best]
        return Followed(earned, missed, tokens)

    def _extend(self, paths: Paths, step: int, missed: NDArray[np.float64]) -> tuple[Paths, NDArray[np.int64]]:
        """Every path a token longer, but for those that cannot be a root's best; and which path each goes on from.

        Of too many from one root the best are kept; `missed`, [roots], learns what the others could earn.
        """
        successors, bounds = self._successors, self._bounds
        first, second = successors.pairs_from(paths.place)
        root, problem = paths.root[first], paths.problem[first]
        previous, token = successors.token[paths.place[first]], successors.token[second]
        earned = paths.earned[first] + self._rewards(problem, step, previous, token)
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
        self, problem: NDArray[np.int64], step: int, previous: NDArray[np.int64], token: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """What the tokens earn in these problems at this step after the previous ones, all [pairs]."""
        problems, task, language = self._problems, self._task, self._language
        cosine = np.vecdot(language.meaning[token], problems.meanings[problem, step])
        earned = adequacy(cosine, problems.weights[problem, step], task.adequacy_scale)
        surprisal = language.surprisal(previous, token)
        return earned - fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)


def _largest(values: NDArray[np.float64], group: NDArray[np.int64], num_groups: int) -> NDArray[np.float64]:
    """The largest of the values, [n], of each group, [num_groups]; -∞ where a group has none."""
    largest = np.full(num_groups, -np.inf)
    np.maximum.at(largest, group, values)
    return largest


def _begins(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a run of equal values begins, [n], in columns [n] that are sorted together."""
    table = np.stack(columns)
    return np.concatenate([[True], (table[:, 1:] != table[:, :-1]).any(axis=0)])[: table.shape[1]]
