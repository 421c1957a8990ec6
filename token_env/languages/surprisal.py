"""Compute the surprisal of a token after another one, on arrays of any library that follows the array API standard."""

from typing import Any, Protocol

import numpy as np

Array = Any  # of numpy, torch, …


class Bigrams(Protocol):
    """Arrays that define surprisals: a `Language`, or the same in another array library."""

    @property
    def context(self) -> Array:
        """Vector of each token as the previous one, q_a, [V, d]."""

    @property
    def output(self) -> Array:
        """Vector of each token as the next one, o_b, [V, d]."""

    @property
    def log_normalizer(self) -> Array:
        """Log-normalizer log Z_a of each previous token, [V] nats."""

    @property
    def floored_log_unigram(self) -> Array:
        """Floored log-frequency max(log u_b, c), [V] nats."""


def surprisal(bigrams: Bigrams, previous: Array, token: Array, xp: Any = np) -> Array:
    """Return s(token | previous) in nats, [N].

    Args:
        bigrams: Arrays of the language.
        previous: Previous tokens, int [N].
        token: Next tokens, int [N].
        xp: Namespace of the array library.
    """
    affinity = xp.vecdot(rows_of(bigrams.context, previous), rows_of(bigrams.output, token))
    return bigrams.log_normalizer[previous] - bigrams.floored_log_unigram[token] - affinity


def rows_of(table: Array, ids: Array) -> Array:
    """Return the rows of a table [V, d] with these ids, [N], as [N, d]; NumPy's `take` is twice as fast as indexing."""
    return table.take(ids, axis=0) if isinstance(table, np.ndarray) else table[ids]
