"""Compute observations: each kind joins columns of the agent's tokens and columns of what is due.

The columns of what is due depend on the problem and the step alone, so they are computed once for a whole episode.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language
from token_env.languages.surprisal import Array, rows_of
from token_env.rules.problems import Problems
from token_env.rules.rewards import Reward
from token_env.rules.state import State
from token_env.rules.task import Task

MAX_RARITY = 2.0  # upper bound of observed rarities, log(u_0 / u_b) / 10; 0.7 at 5,000 synthetic tokens

Observations = NDArray[Any]  # [N, D] float32 features or int64 tokens


class Observer(Protocol):
    """A kind of observation."""

    low: NDArray[Any]  # [D] lower bound of each column; has the observation's dtype
    high: NDArray[Any]  # [D] upper bound of each column
    spoken: Array  # [V, …] what is shown of a token as the previous one

    def due(self, problems: Problems) -> Observations:
        """Return the columns that the agent's tokens do not change, after 0 … L steps, [N, L + 1, columns]."""

    def observe(self, due: Array, state: State, xp: Any) -> Array:
        """Return the observations, a new array [N, D], from these columns after the steps so far, [N, columns]."""


class Features:
    """Real-valued features of the previous token and of the meanings due.

    Columns: context vector of the previous token, divided by the longest [d]; x_t … x_{t+k}, zeros past
    the end [(k+1)·d]; rarity of these words [k+1]; the clock, 0 at reset and 1 at the end [1]; for some
    rewards the return so far and Φ, both divided by α L [0, 1 or 2].
    """

    def __init__(self, task: Task, language: Language, message_language: Language, reward: Reward) -> None:
        self._task = task
        self._reward = reward
        longest = np.linalg.norm(language.context, axis=1).max() or 1.0  # all context vectors may be zero
        self.spoken: Array = np.clip(language.context / longest, -1.0, 1.0).astype(np.float32)
        self._rarity = np.clip(message_language.rarity, 0.0, MAX_RARITY).astype(np.float32)
        self._accrual_scale = 1.0 / (task.adequacy_scale * task.max_steps or 1.0)  # α L: a verbatim answer's adequacy
        words = task.lookahead + 1
        vectors = (words + 1) * language.dimension
        accrued = int(reward.accrued) + int(reward.potential)
        self.low = np.array([-1.0] * vectors + [0.0] * (words + 1) + [-1.0] * accrued, dtype=np.float32)
        self.high = np.array([1.0] * vectors + [MAX_RARITY] * words + [1.0] * (1 + accrued), dtype=np.float32)

    def due(self, problems: Problems) -> Observations:
        """Return meanings, rarities and clock after 0 … L steps, float32 [N, L + 1, (k + 1)(d + 1) + 1]."""
        words = self._task.lookahead + 1
        rarity = self._rarity.take(problems.message)[:, :, None]
        return _due_columns((problems.meanings, rarity), words, self._task.max_steps, np.float32)

    def observe(self, due: Array, state: State, xp: Any) -> Array:
        """Return the observations, float32 [N, D]."""
        columns = [rows_of(self.spoken, state.previous), due]
        if self._reward.accrued:
            columns.append(self._accrued(state.adequacy - state.fluency_penalty, xp))
        if self._reward.potential:
            columns.append(self._accrued(state.adequacy, xp))
        return xp.concat(columns, axis=1)

    def _accrued(self, total: Array, xp: Any) -> Array:
        return xp.astype((self._accrual_scale * total).clip(-1.0, 1.0), xp.float32)[:, None]


class Tokens:
    """Token ids for policies that learn embeddings.

    Columns: the previous token [1]; the tokens nearest to x_t … x_{t+k}, 0 past the end [k+1]; the clock, the number
    of steps so far [1]. The jitter of the meanings is not visible.
    """

    def __init__(self, task: Task, language: Language) -> None:
        self._words = task.lookahead + 1
        self._language = language
        self.spoken: Array = np.arange(language.vocab_size)[:, None]
        self.low = np.zeros(task.lookahead + 3, dtype=np.int64)
        self.high = np.array([language.vocab_size - 1] * (task.lookahead + 2) + [task.max_steps])

    def due(self, problems: Problems) -> Observations:
        """Return nearest tokens and clock after 0 … L steps, int64 [N, L + 1, k + 2]."""
        nearest = self._language.nearest(problems.meanings)[:, :, None]
        return _due_columns((nearest,), self._words, 1, np.int64)

    def observe(self, due: Array, state: State, xp: Any) -> Array:
        """Return the observations, int64 [N, D]."""
        return xp.concat([rows_of(self.spoken, state.previous), due], axis=1)


def _due_columns(shown: Sequence[NDArray[Any]], words: int, clock_scale: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Return what is shown of the next words, and the clock, after 0 … L steps, [N, L + 1, columns].

    Args:
        shown: What is shown of each word of the messages, [N, L, n] each; zeros follow the last word.
        words: Number of words shown at a time.
        clock_scale: What the number of steps is divided by.
        dtype: Type of the columns.
    """
    size, length, _ = shown[0].shape
    due = np.zeros((size, length + 1, words * sum(part.shape[2] for part in shown) + 1), dtype)
    start = 0
    for part in shown:
        for ahead in range(words):
            stop = start + part.shape[2]
            due[:, : max(0, length - ahead), start:stop] = part[:, ahead:]
            start = stop
    due[:, :, -1] = np.arange(length + 1, dtype=dtype) / clock_scale
    return due
