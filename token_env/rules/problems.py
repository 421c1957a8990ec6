"""Draw problems: a problem id of a split gives the same problem on every machine, in every batch and process.

A problem is a message of L tokens, the jittered meanings of these tokens, and the payment of each token. Its
random numbers depend on (language fingerprint, split, problem id) only. Noise and length are not part of
that key: at another noise level a problem has the same message, and at another length of at least 8 the
same first tokens.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError, unknown_name
from token_env.languages.chain import chain_sampler
from token_env.languages.language import Language
from token_env.languages.philox import PhiloxWords, normal_pairs, uniform
from token_env.rules import rows as row_fields

# Classes of each split; a message's content hashes to one of 16 classes.
SPLITS = {"train": range(14), "validation": range(14, 15), "test": range(15, 16)}
NUM_CLASSES = 16
HASHED_TOKENS = 8  # tokens of the message that are hashed, besides the start token
BLOCK = 8  # number of consecutive problem ids that are drawn together
MAX_ATTEMPTS = 4096  # the smallest splits take 16 on average
CANDIDATES = 1024  # number of messages that are drawn together: below it numpy's calls cost more than its work
ENDLESS = 2**62  # number of problem ids in an unrestricted split
MESSAGE_STREAM, NOISE_STREAM = 0, 1


class Problem(NamedTuple):
    """One problem with a message of L tokens."""

    start: int  # b_0, token before the message
    meanings: NDArray[np.float32]  # [L, d] unit vectors x_1 … x_L
    weights: NDArray[np.float64]  # [L] payments w_1 … w_L of the tokens
    message: NDArray[np.int64]  # [L] b_1 … b_L


class Problems(NamedTuple):
    """A batch of N problems with messages of L tokens."""

    ids: NDArray[np.int64]  # [N] problem ids
    start: NDArray[np.int64]  # [N] b_0, token before the message
    message: NDArray[np.int64]  # [N, L] b_1 … b_L
    meanings: NDArray[np.float32]  # [N, L, d] unit vectors x_1 … x_L, components within -1 … 1
    weights: NDArray[np.float64]  # [N, L] payments w_1 … w_L of the tokens

    def single(self, row: int) -> "Problem":
        """Return the problem of one row."""
        return Problem(int(self.start[row]), self.meanings[row], self.weights[row], self.message[row])


def content_class(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class in [0, 16) of each token sequence [N, T], int64 [N]: a keyless 64-bit hash of the content.

    Tokens are mixed with the finalizer of SplitMix64 (Steele et al., OOPSLA 2014).
    """
    mixed = np.full(len(tokens), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in tokens.T.astype(np.uint64):
        mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(NUM_CLASSES)).astype(np.int64)


class ProblemSampler:
    """The problems of one split, by id.

    Args:
        language: Language of the messages.
        split: "train", "validation" or "test"; splits are disjoint by the content of their messages.
        length: Number of tokens L of a message.
        noise: σ of the jitter, relative to a meaning's length.
        num_problems: Number of problems, the first ids of the split; None for all.

    Raises:
        SettingError: An unknown split.
    """

    def __init__(
        self, language: Language, split: str, length: int, noise: float, num_problems: int | None = None
    ) -> None:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        self.split = split
        self.num_ids = ENDLESS if num_problems is None else num_problems
        self._language = language
        self._length = length
        self._noise = np.float32(noise / np.sqrt(language.dimension))
        self._classes = SPLITS[split]
        self._chain = chain_sampler(language)
        self._words = PhiloxWords("problems", language.fingerprint, split)
        self._meaning = np.clip(language.meaning, -1.0, 1.0).astype(np.float32)

    def validate_ids(self, ids: object) -> NDArray[np.int64]:
        """Return problem ids as int64, [N] or scalar like the input.

        Raises:
            SettingError: Ids that are not integers, or outside the split.
        """
        array = np.asarray(ids)
        if isinstance(ids, int) and not 0 <= ids < self.num_ids:  # ids beyond int64, too
            raise self._outside_error(ids)
        if not np.issubdtype(array.dtype, np.integer) or array.size == 0:
            raise SettingError(f"a problem id is an integer, {ids!r} was given; type problem_id=17, say.")
        if (array < 0).any() or (array >= self.num_ids).any():
            invalid_id = array[(array < 0) | (array >= self.num_ids)].ravel()[0]
            raise self._outside_error(invalid_id)
        return array.astype(np.int64)

    def _outside_error(self, problem_id: int) -> SettingError:
        return SettingError(
            f"problem id {problem_id} is outside the split {self.split!r}; its ids are 0 … {self.num_ids - 1}."
        )

    def draw(self, ids: NDArray[np.int64]) -> Problems:
        """Return the problems with these ids, [N], in this order."""
        blocks, positions = np.unique(ids // BLOCK, return_inverse=True)
        return row_fields.take(self.draw_blocks(blocks), positions * BLOCK + ids % BLOCK)

    def draw_blocks(self, blocks: NDArray[np.int64]) -> Problems:
        """Return all problems of these blocks of ids, [len(blocks) * BLOCK], one block after another."""
        path = self._messages(blocks)
        message = np.ascontiguousarray(path[1:].T)
        return Problems(
            ids=_block_rows(blocks),
            start=path[0],
            message=message,
            meanings=self._meanings(blocks, message),
            weights=self._language.payment.take(message),
        )

    def _messages(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return b_0 … b_L of every problem of these blocks, [L + 1, len(blocks) * BLOCK]."""
        hashed = min(self._length, HASHED_TOKENS) + 1
        num_problems = len(blocks) * BLOCK
        path = np.empty((self._length + 1, num_problems), dtype=np.int64)
        uniforms = np.empty((self._length + 1, num_problems))
        pending = np.arange(num_problems)
        attempt = 0
        while pending.size:
            if attempt >= MAX_ATTEMPTS:
                raise SettingError(
                    f"the split {self.split!r} of this language is empty: {MAX_ATTEMPTS} messages in a row belong to "
                    "other splits; type a larger vocab_size or max_steps."
                )
            tries = max(1, min(CANDIDATES // pending.size, NUM_CLASSES // len(self._classes)))
            pending_blocks, positions = np.unique(pending // BLOCK, return_inverse=True)
            columns = positions * BLOCK + pending % BLOCK
            candidates = np.stack(
                [
                    self._uniforms(blocks[pending_blocks], attempt + number).take(columns, axis=1)
                    for number in range(tries)
                ],
                axis=1,
            )  # [L + 1, tries, pending]
            prefix = self._walk(candidates[:hashed].reshape(hashed, -1))
            classes = content_class(prefix.T).reshape(tries, -1)
            accepted = (classes >= self._classes.start) & (classes < self._classes.stop)
            done = np.flatnonzero(accepted.any(axis=0))
            first = accepted.argmax(axis=0)[done]
            path[:hashed, pending[done]] = prefix.reshape(hashed, tries, -1)[:, first, done]
            uniforms[:, pending[done]] = candidates[:, first, done]
            pending = np.delete(pending, done)
            attempt += tries
        for t in range(hashed, self._length + 1):
            path[t] = self._chain.next(path[t - 1], uniforms[t])
        return path

    def _uniforms(self, blocks: NDArray[np.int64], attempt: int) -> NDArray[np.float64]:
        """Return one uniform per token for every problem of these blocks, [L + 1, len(blocks) * BLOCK]."""
        count = (self._length + 1) * BLOCK
        words = np.stack(
            [self._words.draw(count, stream=MESSAGE_STREAM, attempt=attempt, block=int(block)) for block in blocks]
        )
        by_step = words.reshape(len(blocks), self._length + 1, BLOCK).swapaxes(0, 1)
        return uniform(by_step.reshape(self._length + 1, -1))

    def _walk(self, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the first T tokens of N problems, [T, N], for uniforms [T, N]."""
        path = np.empty(uniforms.shape, dtype=np.int64)
        path[0] = self._chain.first(uniforms[0])
        for t in range(1, len(uniforms)):
            path[t] = self._chain.next(path[t - 1], uniforms[t])
        return path

    def _meanings(self, blocks: NDArray[np.int64], message: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return x_t = unit(m_{b_t} + σ ε_t) with ε_t ~ N(0, I/d), [N, L, d]."""
        exact = self._meaning.take(message, axis=0)
        if not self._noise:
            return exact
        half = -(-self._language.dimension // 2)  # one word gives two normals
        words = np.stack(
            [self._words.draw(self._length * BLOCK * half, stream=NOISE_STREAM, block=int(block)) for block in blocks]
        )
        jitter = normal_pairs(words.reshape(len(blocks), self._length, BLOCK, half))
        jitter = jitter[..., : self._language.dimension].swapaxes(1, 2).reshape(exact.shape)
        jitter *= self._noise
        jitter += exact
        jitter /= np.sqrt(np.einsum("nld,nld->nl", jitter, jitter))[..., None]
        return np.clip(jitter, -1.0, 1.0, out=jitter)  # rounding may exceed 1


class ProblemStream:
    """Provides problems for N players that walk through consecutive ids, drawing one block of ids at a time.

    Args:
        sampler: The problems.
        num_players: Number of players N.
    """

    def __init__(self, sampler: ProblemSampler, num_players: int) -> None:
        self._sampler = sampler
        self._block = np.full(num_players, -1, dtype=np.int64)  # [N] cached block of ids of each player
        self._cache: Problems | None = None  # [N * BLOCK] problems of these blocks

    def take(self, players: NDArray[np.int64], ids: NDArray[np.int64]) -> Problems:
        """Return the problems with these ids, [n], for these distinct players, [n]."""
        blocks = ids // BLOCK
        stale = self._block[players] != blocks
        if stale.any() or self._cache is None:
            self._cache = self._update_cache(players[stale], blocks[stale])
        return row_fields.take(self._cache, players * BLOCK + ids % BLOCK)

    def _update_cache(self, players: NDArray[np.int64], blocks: NDArray[np.int64]) -> Problems:
        unique_blocks, positions = np.unique(blocks, return_inverse=True)
        fresh = self._sampler.draw_blocks(unique_blocks)
        cache = row_fields.zeros(fresh, len(self._block) * BLOCK) if self._cache is None else self._cache
        row_fields.put(cache, _block_rows(players), row_fields.take(fresh, _block_rows(positions)))
        self._block[players] = blocks
        return cache


def _block_rows(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of these blocks, [n * BLOCK], in an array that stores block after block."""
    return (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
