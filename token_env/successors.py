"""List which tokens can follow each token at little cost, and maximise over what follows for many problems at once.

Tokens go here by their *place*: those with most successors come first, so that neighbours have lists of nearly one
length. Letters: V vocabulary, N problems, K length of a list.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from token_env.language import Language, row_chunks

MAX_PAIRS = 500_000  # listed; more would take over 16 MB and save little
BLOCK_PAIRS = 4096  # of a block: 0.5 MB for 32 problems, about what a core's cache holds

# What each token is worth, [V, N], to the best that can follow each token, [V, N], which is filled in.
Maximise = Callable[[NDArray[np.float32], NDArray[np.float32]], None]


class Pairs(NamedTuple):
    """Pairs of a token and one that may follow it, [n] each."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    penalty: NDArray[np.float64]  # λ max(0, s(second | first) - τ)


class Successors(Protocol):
    """Which tokens may follow which, and what it costs."""

    gap: float  # a pair that is not listed costs more than this
    token: NDArray[np.int64]  # [V] the token at each place
    place: NDArray[np.int64]  # [V] the place of each token

    def pairs_from(self, places: NDArray[np.int64]) -> Pairs:
        """What is listed for these places, [n]; `first` says which of them, `second` is a place."""

    def maximiser(self, num_problems: int) -> Maximise:
        """For a batch of so many: the most that what is listed is worth less its penalty; -∞ where nothing is."""


class Block(NamedTuple):
    """The lists of neighbouring places side by side; a short list repeats its last entry."""

    rows: slice  # the r places whose lists these are
    second: NDArray[np.int64]  # [K, r] the least surprising first
    penalty: NDArray[np.float32]  # [K - F, r] of all but the first F of each list, which cost nothing


class ListedSuccessors:
    """The pairs that cost at most `gap`, a list a token."""

    def __init__(self, pairs: Pairs, vocab_size: int, gap: float) -> None:
        count = np.bincount(pairs.first, minlength=vocab_size)
        self.gap = gap
        self.token = np.argsort(-count, kind="stable")
        self.place = np.argsort(self.token)
        self._count = count[self.token]
        self._start = np.cumsum(self._count) - self._count
        order = np.lexsort((pairs.penalty, self.place[pairs.first]))
        self._second, self._penalty = self.place[pairs.second[order]], pairs.penalty[order]
        self._listed = int(np.count_nonzero(count))  # places that have a list
        self._blocks = list(self._split())

    def _split(self) -> Iterator[Block]:
        first = 0
        while first < self._listed:
            longest = int(self._count[first])
            rows = slice(first, min(self._listed, first + max(1, BLOCK_PAIRS // longest)))
            entry = self._start[rows] + np.minimum(np.arange(longest)[:, None], self._count[rows] - 1)
            penalty = self._penalty[entry]
            free = int(np.count_nonzero(penalty.max(axis=1) == 0.0))
            yield Block(rows, self._second[entry], penalty[free:].astype(np.float32))
            first = rows.stop

    def pairs_from(self, places: NDArray[np.int64]) -> Pairs:
        """See `Successors`."""
        count = self._count[places]
        first = np.repeat(np.arange(len(places)), count)
        entry = np.arange(len(first)) + np.repeat(self._start[places] - (np.cumsum(count) - count), count)
        return Pairs(first, self._second[entry], self._penalty[entry])

    def maximiser(self, num_problems: int) -> Maximise:
        """See `Successors`."""
        # A penalty stands once for each problem: NumPy subtracts whole blocks four times as fast as columns.
        penalties = [block.penalty[:, :, None].repeat(num_problems, axis=2) for block in self._blocks]
        largest = max((block.second.size for block in self._blocks), default=0)
        space = np.empty(largest * num_problems, dtype=np.float32)

        def maximise(worth: NDArray[np.float32], best: NDArray[np.float32]) -> None:
            best[self._listed :] = -np.inf
            for block, penalty in zip(self._blocks, penalties, strict=True):
                following = space[: block.second.size * num_problems].reshape(*block.second.shape, num_problems)
                np.take(worth, block.second, axis=0, out=following, mode="clip")
                following[len(following) - len(penalty) :] -= penalty
                np.max(following, axis=0, out=best[block.rows])

        return maximise


class AllSuccessors:
    """Every pair: V² work a step, for constants under which a token's list would be long."""

    gap = np.inf

    def __init__(self, language: Language, budget: float, scale: float) -> None:
        self.token = self.place = np.arange(language.vocab_size)
        self._language, self._budget, self._scale = language, budget, scale

    def pairs_from(self, places: NDArray[np.int64]) -> Pairs:
        """See `Successors`."""
        penalty = penalties(self._language, self._budget, self._scale, places)
        first, second = (axis.ravel() for axis in np.indices(penalty.shape))
        return Pairs(first, second, penalty.ravel())

    def maximiser(self, num_problems: int) -> Maximise:
        """See `Successors`."""

        def maximise(worth: NDArray[np.float32], best: NDArray[np.float32]) -> None:
            for rows in row_chunks(len(self.token)):
                penalty = penalties(self._language, self._budget, self._scale, self.token[rows]).astype(np.float32)
                for problem in range(num_problems):
                    best[rows, problem] = (worth[:, problem] - penalty).max(axis=1)

        return maximise


def penalties(language: Language, budget: float, scale: float, previous: NDArray[np.int64]) -> NDArray[np.float64]:
    """λ max(0, s(b | previous) - τ) of every token b, [n, V], for tokens [n]."""
    excess = language.surprisals(previous)
    excess -= budget
    np.maximum(excess, 0.0, out=excess)
    excess *= scale
    return excess


@lru_cache(maxsize=8)
def find_successors(language: Language, budget: float, scale: float, gap: float) -> Successors:
    """The pairs that cost at most `gap`, or all where these are many.

    Args:
        language: that is spoken.
        budget: τ, nats.
        scale: λ.
        gap: in units of the return.
    """
    found, size = [], 0
    for rows in row_chunks(language.vocab_size):
        penalty = penalties(language, budget, scale, np.arange(language.vocab_size)[rows])
        first, second = np.nonzero(penalty <= gap)
        found.append(Pairs(first + rows.start, second, penalty[first, second]))
        size += len(first)
        if size > MAX_PAIRS:
            return AllSuccessors(language, budget, scale)
    return ListedSuccessors(Pairs(*map(np.concatenate, zip(*found, strict=True))), language.vocab_size, gap)
