"""List the cheap successors of each token, and maximise over them for many problems at once.

Tokens are addressed by *place*: tokens with the most successors come first, so that neighbouring places have lists of
similar length. Letters: V vocabulary, N problems, K length of a list, r places of a block.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language, row_chunks
from token_env.rules.terms import fluency_penalty

MAX_PAIRS = 2_000_000  # limit for all listed pairs (16 MB); with more pairs, lists save little time
BLOCK_PAIRS = 4096  # listed pairs of a block: 0.5 MB for 32 problems, about the cache of a core
REPEATED_BYTES = 32_000_000  # memory limit for penalties that are repeated for each problem

# Takes the value of each token, [V, N], and fills in the best value after each token, [V, N].
Maximise = Callable[[NDArray[np.float32], NDArray[np.float32]], None]


class Block(NamedTuple):
    """The lists of neighbouring places in one array; short lists repeat their last entry."""

    rows: slice  # the r places of the block
    second: NDArray[np.int32]  # [K, r] places of the successors, the least surprising first
    penalty: NDArray[np.float32]  # [K - F, r] penalties after the first F entries of each list, which cost nothing


class Successors:
    """The successors of each token with a penalty of at most `gap`.

    Args:
        first: First tokens of the pairs, [n].
        second: Second tokens of the pairs, [n].
        penalty: λ max(0, s(second | first) - τ) of the pairs, [n].
        vocab_size: Number of tokens V.
        gap: Upper limit of the penalties, in units of the return; all pairs that are not listed cost more.

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
        self._num_lists = int(np.count_nonzero(count))  # places with at least one successor
        order = np.lexsort((penalty, self.place[first]))
        self._blocks = list(self._split(self.place[second[order]], penalty[order]))
        self._block_of = np.repeat(np.arange(len(self._blocks)), [len(block.second[0]) for block in self._blocks])

    def _split(self, second: NDArray[np.int64], penalty: NDArray[np.float64]) -> Iterator[Block]:
        """Yield the blocks of lists that stand one after another in `second` and `penalty`."""
        start = np.cumsum(self._count) - self._count
        first = 0
        while first < self._num_lists:
            longest = int(self._count[first])
            rows = slice(first, min(self._num_lists, first + max(1, BLOCK_PAIRS // longest)))
            entry = start[rows] + np.minimum(np.arange(longest)[:, None], self._count[rows] - 1)
            free = int(np.count_nonzero(penalty[entry].max(axis=1) == 0.0))
            yield Block(rows, second[entry].astype(np.int32), penalty[entry[free:]].astype(np.float32))
            first = rows.stop

    def pairs_from(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs that are listed for these places.

        Args:
            places: Places of the first tokens, [n].

        Returns:
            Index into `places` of each pair's first token, and place of its second token, int64 [pairs] each.
        """
        count = self._count[places]
        lists = [self._list(int(place)) for place in places[count > 0]]
        second = np.concatenate(lists) if lists else np.empty(0, dtype=np.int32)
        return np.repeat(np.arange(len(places)), count), second.astype(np.int64)

    def _list(self, place: int) -> NDArray[np.int32]:
        block = self._blocks[self._block_of[place]]
        return block.second[: self._count[place], place - block.rows.start]

    def maximiser(self, num_problems: int) -> Maximise:
        """Return a function that maximises value minus penalty over each list, for N problems; -∞ for empty lists.

        Args:
            num_problems: Number of problems N.
        """
        # NumPy subtracts whole blocks four times as fast as columns, so penalties are repeated for each problem.
        repeats = num_problems
        if sum(block.penalty.nbytes for block in self._blocks) * num_problems > REPEATED_BYTES:
            repeats = 1
        penalties = [block.penalty[:, :, None].repeat(repeats, axis=2) for block in self._blocks]
        largest = max((block.second.size for block in self._blocks), default=0)
        space = np.empty(largest * num_problems, dtype=np.float32)

        def maximise(values: NDArray[np.float32], best: NDArray[np.float32]) -> None:
            best[self._num_lists :] = -np.inf
            for block, penalty in zip(self._blocks, penalties, strict=True):
                following = space[: block.second.size * num_problems].reshape(*block.second.shape, num_problems)
                np.take(values, block.second, axis=0, out=following, mode="clip")
                following[len(following) - len(penalty) :] -= penalty
                np.max(following, axis=0, out=best[block.rows])

        return maximise


@lru_cache(maxsize=32)
def find_successors(language: Language, budget: float, scale: float, gap: float) -> Successors | None:
    """List the pairs of tokens with a penalty of at most `gap`; None if there are more than MAX_PAIRS.

    Args:
        language: The language.
        budget: τ, nats.
        scale: λ, per nat.
        gap: Upper limit of the penalties, in units of the return.
    """
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    tokens = np.arange(language.vocab_size)
    for rows in row_chunks(len(tokens)):
        penalty = fluency_penalty(language.surprisals(tokens[rows]), budget, scale)
        first, second = np.nonzero(penalty <= gap)
        parts.append((first + rows.start, second, penalty[first, second]))
        if sum(len(second) for _, second, _ in parts) > MAX_PAIRS:
            return None
    first, second, penalty = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Successors(first, second, penalty, len(tokens), gap)
