"""Sample the bigram chain of a language exactly, many chains at once, without a V×V table.

The inverse CDF has two levels: a table of probabilities cumulated over blocks of neighbouring ranks finds the
block, and the few probabilities inside the block are computed on demand. A row of the table is searched in two
steps of about √width neighbouring numbers each, which takes few NumPy calls and few cache lines.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language, row_chunks

TABLE_BYTES = 12_000_000  # upper limit; 8.2 MB at 1,000 tokens (blocks of one), 10.2 MB at 5,000 (blocks of 20)


class ChainSampler:
    """Draws from u and from p(b|a) by inverse CDF in float64; construction takes V²d operations."""

    def __init__(self, language: Language) -> None:
        size, dimension = language.vocab_size, language.dimension
        full_width = 1 << (size - 1).bit_length()
        self._width = min(full_width, max(1, 1 << (TABLE_BYTES // (8 * size)).bit_length() - 1))  # columns of the table
        self._block_size = -(-size // self._width)
        num_blocks = -(-size // self._block_size)
        padding = num_blocks * self._block_size - size
        self._last = size - 1
        self._context = language.context
        self._log_normalizer = language.log_normalizer
        self._start_cdf = np.cumsum(np.exp(language.log_unigram))
        # [blocks, block size] and [blocks, block size, d]; ranks past the last have probability zero
        blocks_shape = (num_blocks, self._block_size)
        self._output = np.pad(language.output, ((0, padding), (0, 0))).reshape(*blocks_shape, dimension)
        log_unigram = np.pad(language.log_unigram, (0, padding), constant_values=-np.inf)
        self._log_unigram = log_unigram.reshape(blocks_shape)

        # [V, width] total probability of the blocks before each block; infinity after the last block
        table = np.full((size, self._width), np.inf)
        table[:, 0] = 0.0
        for rows in row_chunks(size):
            scores = self._context[rows] @ language.output.T
            scores += language.log_unigram - self._log_normalizer[rows, None]
            probabilities = np.pad(np.exp(scores, out=scores), ((0, 0), (0, padding)))
            blocks = probabilities.reshape(-1, *blocks_shape).sum(axis=2)
            table[rows, 1:num_blocks] = np.cumsum(blocks, axis=1)[:, :-1]
        segment = 1 << (self._width.bit_length() - 1) // 2
        self._segments = table.reshape(-1, segment)  # [V * num_segments, segment]
        self._segment_starts = self._segments[:, 0].reshape(size, -1).copy()  # [V, num_segments]

    def first(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return tokens drawn from the unigram distribution, int64 [N], for uniforms `u` in [0, 1), [N]."""
        return np.minimum(np.searchsorted(self._start_cdf, u, side="right"), self._last)

    def next(self, previous: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return tokens drawn from p(· | previous), int64 [N].

        Args:
            previous: Previous tokens, [N].
            u: Uniforms in [0, 1), [N].
        """
        num_segments, segment = self._segment_starts.shape[1], self._segments.shape[1]
        segment_index = _last_at_most(u, self._segment_starts.take(previous, axis=0))
        row = previous * num_segments + segment_index
        starts = self._segments.take(row, axis=0)
        within = _last_at_most(u, starts)
        block = segment_index * segment + within
        if self._block_size == 1:
            return block
        scores = np.matmul(self._output[block], self._context[previous][:, :, None])[:, :, 0]
        scores += self._log_unigram[block]
        scores -= self._log_normalizer[previous][:, None]
        cdf = np.cumsum(np.exp(scores, out=scores), axis=1)
        rest = u - starts[np.arange(len(u)), within]
        rank = (cdf <= rest[:, None]).sum(axis=1)
        return np.minimum(block * self._block_size + np.minimum(rank, self._block_size - 1), self._last)


def _last_at_most(u: NDArray[np.float64], rising: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the last index at which each row of `rising` [N, n] is at most `u` [N]; index 0 must always be."""
    first_above = (rising <= u[:, None]).argmin(axis=1)  # 0 if no value is above
    return (first_above - 1) % rising.shape[1]


@lru_cache(maxsize=4)
def chain_sampler(language: Language) -> ChainSampler:
    """Return the sampler of a language, cached because construction takes V²d operations."""
    return ChainSampler(language)
