"""Define a language: the frequency of each token, which tokens follow which, and what each token means.

A language has V tokens, ranked by frequency (rank 0 first). Its bigram chain is
`log p(b|a) = log u_b + q_a·o_b - log Z_a`, and the surprisal of a token is
`s(b|a) = log Z_a - max(log u_b, c) - q_a·o_b`, in nats; the floor c keeps rare words from being disfluent per se.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from token_env.errors import SettingError
from token_env.languages.surprisal import surprisal

MIN_VOCAB = 2
USABLE_SURPRISAL = 5.0  # nats; with the rarity floor, USABLE_SHARE of the tokens stay below it after some token
USABLE_SHARE = 0.9
FLOOR_RANK = 999
ARRAYS = ("log_unigram", "context", "output", "meaning")
CHUNK_ELEMENTS = 1_000_000  # elements of a V×V pass in memory at once: 8 MB of float64


@dataclass(frozen=True, eq=False)
class Language:
    """An immutable language of V tokens with d-dimensional vectors.

    Raises:
        SettingError: Arrays whose shapes or values do not describe a language.
    """

    log_unigram: NDArray[np.float64]  # [V] log-probabilities in nats, falling with rank
    context: NDArray[np.float64]  # [V, d] q_a, vector of a token as the previous one
    output: NDArray[np.float64]  # [V, d] o_b, unit vector of a token as the next one
    meaning: NDArray[np.float64]  # [V, d] m_a, unit vector of a token's meaning
    surface: tuple[str, ...]  # [V] printable form of each token
    recipe: Mapping[str, Any]  # how the language was made; JSON values only

    def __post_init__(self) -> None:
        """Store read-only copies of the arrays; reject arrays that do not describe a language."""
        for name in ARRAYS:
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        u, q, o, m = (getattr(self, name) for name in ARRAYS)
        sizes = {len(array) for array in (u, q, o, m, self.surface)}
        if u.ndim != 1 or q.ndim != 2 or len(sizes) != 1 or len(u) < MIN_VOCAB:
            raise SettingError("a language needs log_unigram [V], context, output, meaning [V, d], V words, and V ≥ 2.")
        if q.shape != o.shape or q.shape != m.shape or not q.shape[1]:
            raise SettingError(f"context {q.shape}, output {o.shape} and meaning {m.shape} must have one shape [V, d].")
        if not all(np.isfinite(array).all() for array in (u, q, o, m)) or (np.diff(u) > 0).any():
            raise SettingError("a language's arrays must be finite and log_unigram must fall with the rank.")
        if not (np.allclose(np.linalg.norm(o, axis=1), 1) and np.allclose(np.linalg.norm(m, axis=1), 1)):
            raise SettingError("output and meaning vectors must have unit length; divide each row by its norm.")

    def __deepcopy__(self, memo: dict[int, Any]) -> "Language":
        """Return the language itself: it is immutable, and Gymnasium deep-copies an environment's keywords."""
        return self

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        return len(self.log_unigram)

    @property
    def dimension(self) -> int:
        """Dimension d of a token's vectors."""
        return int(self.context.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the recipe, 64 hexadecimal digits; part of the key of every random problem."""
        return hashlib.sha256(json.dumps(dict(self.recipe), sort_keys=True).encode()).hexdigest()

    @cached_property
    def _normalizer_and_floors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log Z_a [V], and the log-frequency that puts each token within USABLE_SURPRISAL nats, [V]."""
        normalizer = np.empty(self.vocab_size)
        cheapest = np.full(self.vocab_size, np.inf)
        for rows in row_chunks(self.vocab_size):
            affinity = self.context[rows] @ self.output.T
            scores = affinity + self.log_unigram
            peak = scores.max(axis=1, keepdims=True)
            scores -= peak
            np.exp(scores, out=scores)
            normalizer[rows] = np.log(scores.sum(axis=1)) + peak[:, 0]
            np.subtract(normalizer[rows, None], affinity, out=affinity)
            np.fill_diagonal(affinity[:, rows], np.inf)  # a word must be usable after some other word
            np.minimum(cheapest, affinity.min(axis=0), out=cheapest)
        return normalizer, cheapest - USABLE_SURPRISAL

    @property
    def log_normalizer(self) -> NDArray[np.float64]:
        """Log-normalizer log Z_a of each previous token, [V], nats."""
        return self._normalizer_and_floors[0]

    @cached_property
    def rarity_floor(self) -> float:
        """Floor c of the unigram log-probability in surprisals, nats.

        It is the larger of log u at rank 999 and the value at which 90 % of the tokens can follow
        some other token within 5 nats.
        """
        floors = self._normalizer_and_floors[1]
        floors = np.where(floors <= self.log_unigram, -np.inf, floors)
        index = int(np.ceil(USABLE_SHARE * self.vocab_size)) - 1
        return float(max(self.log_unigram[min(FLOOR_RANK, self.vocab_size - 1)], np.sort(floors)[index]))

    @cached_property
    def floored_log_unigram(self) -> NDArray[np.float64]:
        """Floored log-frequency max(log u, c), [V], nats."""
        return np.maximum(self.log_unigram, self.rarity_floor)

    @cached_property
    def payment(self) -> NDArray[np.float64]:
        """Payment w_b = u_b^(-1/2) / Σ u^(1/2), [V]: rare words pay more; a word drawn from u pays 1 on average."""
        return np.exp(-0.5 * self.log_unigram) / np.exp(0.5 * self.log_unigram).sum()

    @cached_property
    def rarity(self) -> NDArray[np.float64]:
        """Rarity log(u_0 / u_b) / 10 of each token, [V]: 0 for the most frequent one."""
        return (self.log_unigram[0] - self.log_unigram) / 10.0

    def surprisal(self, previous: NDArray[np.integer], token: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return s(token | previous) in nats, [N].

        Args:
            previous: Previous tokens, [N].
            token: Next tokens, [N].
        """
        surprisals: NDArray[np.float64] = surprisal(self, previous, token)
        return surprisals

    def surprisals(self, previous: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return s(b | previous) in nats for every token b, [N, V].

        Args:
            previous: Previous tokens, [N].
        """
        scores = self.context[previous] @ self.output.T
        scores += self.floored_log_unigram
        return np.subtract(self.log_normalizer[previous, None], scores, out=scores)

    def nearest(self, vectors: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the token with the nearest meaning for each vector, int64 [...].

        Args:
            vectors: Meaning vectors, [..., d].
        """
        flat = np.asarray(vectors, dtype=np.float64).reshape(-1, self.dimension)
        indices = [np.argmax(flat[rows] @ self.meaning.T, axis=1) for rows in row_chunks(len(flat), self.vocab_size)]
        return np.concatenate(indices).reshape(vectors.shape[:-1]) if indices else np.empty(0, np.int64)

    def truncate(self, vocab_size: int) -> "Language":
        """Return the language of the first `vocab_size` ranks, with u, Z and c recomputed.

        Raises:
            SettingError: Fewer than 2 tokens, or more than the language has.
        """
        if vocab_size == self.vocab_size:
            return self
        if not MIN_VOCAB <= vocab_size <= self.vocab_size:
            raise SettingError(
                f"this language has {self.vocab_size} tokens, {vocab_size} were asked for; "
                f"type vocab_size={self.vocab_size}, or any number from {MIN_VOCAB} up to it."
            )
        return _truncated(self, int(vocab_size))


@lru_cache(maxsize=8)
def _truncated(language: Language, vocab_size: int) -> Language:
    ranks = slice(vocab_size)
    return Language(
        log_unigram=log_normalized(language.log_unigram[ranks]),
        context=language.context[ranks],
        output=language.output[ranks],
        meaning=language.meaning[ranks],
        surface=language.surface[ranks],
        recipe=dict(language.recipe) | {"vocab_size": vocab_size},
    )


def row_chunks(num_rows: int, row_length: int | None = None) -> list[slice]:
    """Return slices that together cover `num_rows` rows, with about CHUNK_ELEMENTS elements each.

    Args:
        num_rows: Number of rows.
        row_length: Elements per row; `num_rows` if None.
    """
    step = max(1, CHUNK_ELEMENTS // (row_length or num_rows))
    return [slice(first, min(first + step, num_rows)) for first in range(0, num_rows, step)]


def log_normalized(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift log-weights [V], largest first, so that they are log-probabilities (nats)."""
    return log_weights - np.log(np.exp(log_weights - log_weights[0]).sum()) - log_weights[0]


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale vectors [..., d] to length 1."""
    return vectors / np.sqrt(np.einsum("...d,...d->...", vectors, vectors))[..., None]


def from_arrays(
    log_unigram: ArrayLike,
    context: ArrayLike,
    output: ArrayLike,
    meaning: ArrayLike | None = None,
    surface: Sequence[str] | None = None,
) -> Language:
    """Build a language from a user's own arrays; the fingerprint hashes them.

    Args:
        log_unigram: Log-probabilities in nats, falling (rank 0 is the most frequent token), [V].
        context: Vectors of tokens as the previous one, [V, d].
        output: Unit vectors of tokens as the next one, [V, d].
        meaning: Unit vectors of the tokens' meanings, [V, d]; `output` if None.
        surface: Printable forms of the V tokens; the ranks if None.

    Raises:
        SettingError: Shapes that do not fit together, values that are not finite, frequencies that rise,
            or vectors that are not of unit length.
    """
    vectors = [context, output, output if meaning is None else meaning]
    arrays = [np.ascontiguousarray(array, dtype="<f8") for array in (log_unigram, *vectors)]
    words = tuple(map(str, range(len(arrays[0])))) if surface is None else tuple(surface)
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    recipe = {"kind": "arrays", "sha256": digest.hexdigest(), "vocab_size": len(arrays[0])}
    u, q, o, m = arrays
    checked = Language(u, q, o, m, words, recipe)
    return replace(checked, log_unigram=log_normalized(checked.log_unigram))
