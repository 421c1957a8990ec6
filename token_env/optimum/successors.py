"""List which tokens can follow each token at little cost, and maximise over what follows for many problems at once.

Tokens go here by their *place*: those with most successors come first, so that neighbours have lists of nearly one
length. Letters: V vocabulary, N problems, K length of a list, r places of a block.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language, row_chunks
from token_env.rules.terms import fluency_penalty

MAX_PAIRS = 2_000_000  # listed: 16 MB at most; where there are more, lists save little
BLOCK_PAIRS = 4096  # of a block: 0.5 MB for 32 problems, about what a core's cache holds
REPEATED_BYTES = 32_000_000  # that penalties may take which stand once for each problem

# What each token is worth, [V, N], to the best that can follow each token, [V, N], which is filled in.
Maximise = Callable[[NDArray[np.float32], NDArray[np.float32]], None]


class Block(NamedTuple):
    """The lists of neighbouring places side by side; a short list repeats its last entry."""

    rows: slice  # the r places whose lists these are
    second: NDArray[np.int32]  # [K, r] places, the least surprising first
    penalty: NDArray[np.float32]  # [K - F, r] of all but the first F of each list, which cost nothing


class Successors:
    """For every token those that follow it at a penalty of at most `gap`.

    Args:
        first: [n] the tokens that are followed.
        second: [n] the tokens that follow them.
        penalty: [n] λ max(0, s(second | first) - τ).
        vocab_size: V.
        gap: in units of the return; a pair that is not listed costs more.

    Attributes:
        token: [V] the token at each place.
        place: [V] the place of each token.
    """

    def __init__(
        self,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        penalty: NDArray[np.float64],
        vocab_size: int,
        gap: float,
    ) -> None:
        count = np.bincount(first, minlength=vocab_size)
        self.gap = gap
        self.token = np.argsort(-count, kind="stable")
        self.place = np.argsort(self.token)
        self._count = count[self.token]
        self._listed = int(np.count_nonzero(count))  # places that have a list
        order = np.lexsort((penalty, self.place[first]))
        self._blocks = list(self._split(self.place[second[order]], penalty[order]))
        self._block_of = np.repeat(np.arange(len(self._blocks)), [len(block.second[0]) for block in self._blocks])

    def _split(self, second: NDArray[np.int64], penalty: NDArray[np.float64]) -> Iterator[Block]:
        """The blocks, from lists one after another."""
        start = np.cumsum(self._count) - self._count
        first = 0
        while first < self._listed:
            longest = int(self._count[first])
            rows = slice(first, min(self._listed, first + max(1, BLOCK_PAIRS // longest)))
            entry = start[rows] + np.minimum(np.arange(longest)[:, None], self._count[rows] - 1)
            free = int(np.count_nonzero(penalty[entry].max(axis=1) == 0.0))
            yield Block(rows, second[entry].astype(np.int32), penalty[entry[free:]].astype(np.float32))
            first = rows.stop

    def pairs_from(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What is listed for these places, [n]: which of them is followed, and by which place, [pairs] each."""
        count = self._count[places]
        lists = [self._list(int(place)) for place in places[count > 0]]
        second = np.concatenate(lists) if lists else np.empty(0, dtype=np.int32)
        return np.repeat(np.arange(len(places)), count), second.astype(np.int64)

    def _list(self, place: int) -> NDArray[np.int32]:
        block = self._blocks[self._block_of[place]]
        return block.second[: self._count[place], place - block.rows.start]

    def maximiser(self, num_problems: int) -> Maximise:
        """A function for batches of so many: the most that what is listed is worth less its penalty, -∞ for nothing."""
        # NumPy subtracts whole blocks four times as fast as columns, so each penalty stands once for each problem.
        repeats = num_problems
        if sum(block.penalty.nbytes for block in self._blocks) * num_problems > REPEATED_BYTES:
            repeats = 1
        penalties = [block.penalty[:, :, None].repeat(repeats, axis=2) for block in self._blocks]
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


@lru_cache(maxsize=32)
def find_successors(language: Language, budget: float, scale: float, gap: float) -> Successors | None:
    """The pairs of tokens that cost at most `gap`; None where they are too many.

    Args:
        language: that is spoken.
        budget: τ, nats.
        scale: λ.
        gap: in units of the return.
    """
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    tokens = np.arange(language.vocab_size)
    for rows in row_chunks(len(tokens)):
        penalty = fluency_penalty(language.surprisals(tokens[rows]), budget, scale)
        first, second = np.nonzero(penalty <= gap)
        found.append((first + rows.start, second, penalty[first, second]))
        if sum(len(second) for _, second, _ in found) > MAX_PAIRS:
            return None
    first, second, penalty = (np.concatenate(part) for part in zip(*found, strict=True))
    return Successors(first, second, penalty, len(tokens), gap)
