"""Draw problems: problem p of a split is the same on every machine, in every batch and process.

A problem is a message of L tokens, the jittered meanings of these tokens, and what each of them pays. Its
random numbers depend on (language fingerprint, split, problem id) alone. Noise and length are no part of
that key: the same problem has the same message at another noise level, and begins with the same words at
another length of at least 8.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError, unknown_name
from token_env.languages.chain import chain_sampler
from token_env.languages.language import Language
from token_env.languages.philox import PhiloxWords, normal_pairs, uniform
from token_env.rules import rows

# A message's content hashes to one of 16 classes; which classes belong to a split.
SPLITS = {"train": range(14), "validation": range(14, 15), "test": range(15, 16)}
NUM_CLASSES = 16
HASHED_TOKENS = 8  # of the message, after the start token, take part in the hash
BLOCK = 8  # neighbouring problem ids that are drawn together
MAX_ATTEMPTS = 4096  # a split of any usable language takes 16 on average
ENDLESS = 2**62  # problem ids of a split that is not restricted
MESSAGE_STREAM, NOISE_STREAM = 0, 1


class Problem(NamedTuple):
    """One problem over a message of L tokens."""

    start: int  # b_0, the token before the message
    meanings: NDArray[np.float32]  # [L, d] unit vectors x_1 … x_L
    weights: NDArray[np.float64]  # [L] w_1 … w_L, what each token pays
    message: NDArray[np.int64]  # [L] b_1 … b_L


class Problems(NamedTuple):
    """A batch of N problems over messages of L tokens."""

    ids: NDArray[np.int64]  # [N]
    start: NDArray[np.int64]  # [N] b_0, the token before the message
    message: NDArray[np.int64]  # [N, L] b_1 … b_L
    meanings: NDArray[np.float32]  # [N, L, d] unit vectors x_1 … x_L, components within -1 … 1
    weights: NDArray[np.float64]  # [N, L] w_1 … w_L, what each token pays

    def single(self, row: int) -> "Problem":
        """The problem at this place of the batch."""
        return Problem(int(self.start[row]), self.meanings[row], self.weights[row], self.message[row])


def content_class(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class in [0, 16) of each token sequence [N, T] by its content alone: a keyless 64-bit hash.

    Every token is mixed in with the finalizer of SplitMix64 (Steele et al., OOPSLA 2014).
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
        language: the language the messages are composed in.
        split: "train", "validation" or "test"; disjoint by the content of their messages.
        length: L, tokens in a message.
        noise: σ of the jitter, relative to a meaning's length.
        num_problems: restrict the split to its first so many problems; None for no restriction.

    Raises:
        SettingError: a split that does not exist.
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

    def checked_ids(self, ids: object) -> NDArray[np.int64]:
        """Problem ids as int64, [N] or [] as given.

        Raises:
            SettingError: ids that are no integers, or outside the split.
        """
        array = np.asarray(ids)
        if isinstance(ids, int) and not 0 <= ids < self.num_ids:  # also where no integer of NumPy can hold it
            raise self._outside(ids)
        if not np.issubdtype(array.dtype, np.integer) or array.size == 0:
            raise SettingError(f"a problem id is an integer, {ids!r} was given; type problem_id=17, say.")
        if (array < 0).any() or (array >= self.num_ids).any():
            wrong = array[(array < 0) | (array >= self.num_ids)].ravel()[0]
            raise self._outside(wrong)
        return array.astype(np.int64)

    def _outside(self, problem_id: int) -> SettingError:
        return SettingError(
            f"problem id {problem_id} is outside the split {self.split!r}; its ids are 0 … {self.num_ids - 1}."
        )

    def draw(self, ids: NDArray[np.int64]) -> Problems:
        """The problems with these ids, [N], in this order."""
        blocks, which = np.unique(ids // BLOCK, return_inverse=True)
        return rows.take(self.draw_blocks(blocks), which * BLOCK + ids % BLOCK)

    def draw_blocks(self, blocks: NDArray[np.int64]) -> Problems:
        """All problems of these blocks of ids, [len(blocks) * BLOCK], block after block."""
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
        """b_0 … b_L of every problem of these blocks, [L + 1, len(blocks) * BLOCK]."""
        hashed = min(self._length, HASHED_TOKENS) + 1
        num_problems = len(blocks) * BLOCK
        path = np.empty((self._length + 1, num_problems), dtype=np.int64)
        uniforms = np.empty((self._length + 1, num_problems))
        pending = np.arange(num_problems)
        for attempt in range(MAX_ATTEMPTS):
            mine, which = np.unique(pending // BLOCK, return_inverse=True)
            drawn = self._uniforms(blocks[mine], attempt).take(which * BLOCK + pending % BLOCK, axis=1)
            prefix = self._walk(drawn[:hashed])
            mixed = content_class(prefix.T)
            accepted = (mixed >= self._classes.start) & (mixed < self._classes.stop)
            path[:hashed, pending[accepted]] = prefix[:, accepted]
            uniforms[:, pending[accepted]] = drawn[:, accepted]
            pending = pending[~accepted]
            if not pending.size:
                break
        else:
            raise SettingError(
                f"the split {self.split!r} of this language is empty: {MAX_ATTEMPTS} messages in a row belong to "
                "other splits; type a larger vocab_size or max_steps."
            )
        for t in range(hashed, self._length + 1):
            path[t] = self._chain.next(path[t - 1], uniforms[t])
        return path

    def _uniforms(self, blocks: NDArray[np.int64], attempt: int) -> NDArray[np.float64]:
        """One uniform a token for every problem of these blocks, [L + 1, len(blocks) * BLOCK]."""
        count = (self._length + 1) * BLOCK
        words = np.stack(
            [self._words.draw(count, stream=MESSAGE_STREAM, attempt=attempt, block=int(block)) for block in blocks]
        )
        by_step = words.reshape(len(blocks), self._length + 1, BLOCK).swapaxes(0, 1)
        return uniform(by_step.reshape(self._length + 1, -1))

    def _walk(self, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """The first tokens of N problems, [T, N], by uniforms [T, N]."""
        path = np.empty(uniforms.shape, dtype=np.int64)
        path[0] = self._chain.first(uniforms[0])
        for t in range(1, len(uniforms)):
            path[t] = self._chain.next(path[t - 1], uniforms[t])
        return path

    def _meanings(self, blocks: NDArray[np.int64], message: NDArray[np.int64]) -> NDArray[np.float32]:
        """x_t = unit(m_{b_t} + σ ε_t) with ε_t ~ N(0, I/d), [N, L, d]."""
        exact = self._meaning.take(message, axis=0)
        if not self._noise:
            return exact
        half = -(-self._language.dimension // 2)  # a word makes two normals
        words = np.stack(
            [self._words.draw(self._length * BLOCK * half, stream=NOISE_STREAM, block=int(block)) for block in blocks]
        )
        jitter = normal_pairs(words.reshape(len(blocks), self._length, BLOCK, half))
        jitter = jitter[..., : self._language.dimension].swapaxes(1, 2).reshape(exact.shape)
        jitter *= self._noise
        jitter += exact
        jitter /= np.sqrt(np.einsum("nld,nld->nl", jitter, jitter))[..., None]
        return np.clip(jitter, -1.0, 1.0, out=jitter)  # rounding may lead past 1


class ProblemStream:
    """Hands out problems to N players that each walk through ids in order, drawing a block of ids at a time."""

    def __init__(self, sampler: ProblemSampler, num_players: int) -> None:
        self._sampler = sampler
        self._block = np.full(num_players, -1, dtype=np.int64)  # which block of ids each player holds
        self._held: Problems | None = None  # [num_players * BLOCK] the problems of these blocks

    def take(self, players: NDArray[np.int64], ids: NDArray[np.int64]) -> Problems:
        """The problems with these ids, [n], for these distinct players, [n]."""
        blocks = ids // BLOCK
        stale = self._block[players] != blocks
        if stale.any() or self._held is None:
            self._held = self._hold(players[stale], blocks[stale])
        return rows.take(self._held, players * BLOCK + ids % BLOCK)

    def _hold(self, players: NDArray[np.int64], blocks: NDArray[np.int64]) -> Problems:
        needed, which = np.unique(blocks, return_inverse=True)
        fresh = self._sampler.draw_blocks(needed)
        held = rows.zeros(fresh, len(self._block) * BLOCK) if self._held is None else self._held
        rows.put(held, _block_rows(players), rows.take(fresh, _block_rows(which)))
        self._block[players] = blocks
        return held


def _block_rows(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of these blocks, [n * BLOCK], where block after block is stored."""
    return (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
