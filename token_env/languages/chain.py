"""Sample the bigram chain of a language exactly, many chains at once, without a V×V table.

The inverse CDF is looked up on two levels: a table of the probabilities accumulated over blocks of
neighbouring ranks finds the block, and the few probabilities inside it are computed when needed. A row of the
table is searched in two looks at about √width neighbouring numbers, in few calls and few lines of the cache.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language, row_chunks

TABLE_BYTES = 12_000_000  # at most; 8.2 MB at 1,000 tokens (blocks of one), 10.2 MB at 5,000 (blocks of 20)


class ChainSampler:
    """Draws from u and from p(b|a) by inverse CDF in float64. Costs V²d once, at construction."""

    def __init__(self, language: Language) -> None:
        size, dimension = language.vocab_size, language.dimension
        whole = 1 << (size - 1).bit_length()
        self._width = min(whole, max(1, 1 << (TABLE_BYTES // (8 * size)).bit_length() - 1))  # of a row of the table
        self._block_size = -(-size // self._width)
        num_blocks = -(-size // self._block_size)
        padding = num_blocks * self._block_size - size
        self._last = size - 1
        self._context = language.context
        self._log_normalizer = language.log_normalizer
        self._start_cdf = np.cumsum(np.exp(language.log_unigram))
        # [blocks, tokens of a block (, d)]; ranks past the last have probability zero
        blocks_shape = (num_blocks, self._block_size)
        self._output = np.pad(language.output, ((0, padding), (0, 0))).reshape(*blocks_shape, dimension)
        log_unigram = np.pad(language.log_unigram, (0, padding), constant_values=-np.inf)
        self._log_unigram = log_unigram.reshape(blocks_shape)

        # [V, width] probability of the blocks before this one; infinity behind the last block
        table = np.full((size, self._width), np.inf)
        table[:, 0] = 0.0
        for rows in row_chunks(size):
            scores = self._context[rows] @ language.output.T
            scores += language.log_unigram - self._log_normalizer[rows, None]
            probabilities = np.pad(np.exp(scores, out=scores), ((0, 0), (0, padding)))
            blocks = probabilities.reshape(-1, *blocks_shape).sum(axis=2)
            table[rows, 1:num_blocks] = np.cumsum(blocks, axis=1)[:, :-1]
        stretch = 1 << (self._width.bit_length() - 1) // 2
        self._stretches = table.reshape(-1, stretch)  # [V * num_stretches, stretch]
        self._stretch_begins = self._stretches[:, 0].reshape(size, -1).copy()  # [V, num_stretches]

    def first(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Tokens drawn from the unigram distribution, [N], by uniforms [N]."""
        return np.minimum(np.searchsorted(self._start_cdf, u, side="right"), self._last)

    def next(self, previous: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Tokens drawn from p(· | previous), [N], by uniforms [N]."""
        num_stretches, stretch = self._stretch_begins.shape[1], self._stretches.shape[1]
        which = _last_at_most(u, self._stretch_begins.take(previous, axis=0))
        place = previous * num_stretches + which
        begins = self._stretches.take(place, axis=0)
        within = _last_at_most(u, begins)
        block = which * stretch + within
        if self._block_size == 1:
            return block
        scores = np.matmul(self._output[block], self._context[previous][:, :, None])[:, :, 0]
        scores += self._log_unigram[block]
        scores -= self._log_normalizer[previous][:, None]
        cdf = np.cumsum(np.exp(scores, out=scores), axis=1)
        rest = u - begins[np.arange(len(u)), within]
        rank = (cdf <= rest[:, None]).sum(axis=1)
        return np.minimum(block * self._block_size + np.minimum(rank, self._block_size - 1), self._last)


def _last_at_most(u: NDArray[np.float64], rising: NDArray[np.float64]) -> NDArray[np.int64]:
    """The last place at which each row of `rising`, [N, n], is at most u, [N]; at place 0 it always is."""
    first_above = (rising <= u[:, None]).argmin(axis=1)  # 0 where none is above
    return (first_above - 1) % rising.shape[1]


@lru_cache(maxsize=4)
def chain_sampler(language: Language) -> ChainSampler:
    """The sampler of this language; the last few are kept, since a table costs V²d to make."""
    return ChainSampler(language)
