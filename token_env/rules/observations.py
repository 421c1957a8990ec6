"""Compute observations: each kind is a function of N problems and their state."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language
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

    def observe(self, problems: Problems, state: State) -> Observations:
        """Return the observations, a new array [N, D]."""


class Features:
    """Real-valued features of the previous token and of the meanings due.

    Columns: context vector of the previous token, divided by the longest [d]; x_t … x_{t+k}, zeros past
    the end [(k+1)·d]; rarity of these words [k+1]; the clock, 0 at reset and 1 at the end [1]; for some
    rewards the return so far and Φ, both divided by α L [0, 1 or 2].
    """

    def __init__(self, task: Task, language: Language, message_language: Language, reward: Reward) -> None:
        self._task = task
        self._reward = reward
        self._dimension = language.dimension
        longest = np.linalg.norm(language.context, axis=1).max() or 1.0  # all context vectors may be zero
        self._context = np.clip(language.context / longest, -1.0, 1.0).astype(np.float32)
        self._rarity = np.clip(message_language.rarity, 0.0, MAX_RARITY).astype(np.float32)
        self._window = np.arange(task.lookahead + 1)
        self._accrual_scale = 1.0 / (task.adequacy_scale * task.max_steps or 1.0)  # α L: a verbatim answer's adequacy
        words = len(self._window)
        vectors = (words + 1) * self._dimension
        accrued = int(reward.accrued) + int(reward.potential)
        self.low = np.array([-1.0] * vectors + [0.0] * (words + 1) + [-1.0] * accrued, dtype=np.float32)
        self.high = np.array([1.0] * vectors + [MAX_RARITY] * words + [1.0] * (1 + accrued), dtype=np.float32)

    def observe(self, problems: Problems, state: State) -> Observations:
        """Return the observations, float32 [N, D]."""
        length, d, words = self._task.max_steps, self._dimension, len(self._window)
        due = state.step + self._window[:, None]  # [k+1, N], because NumPy is fast along a long last axis
        position = flat_positions(np.minimum(due, length - 1), length)
        meanings = problems.meanings.reshape(-1, d).take(position.T, axis=0)
        rarity = self._rarity.take(problems.message.reshape(-1).take(position))
        past_end = due >= length
        if past_end[-1].any():
            meanings[past_end.T] = 0.0
            rarity[past_end] = 0.0
        columns = np.empty((len(state.step), len(self.low)), dtype=np.float32)
        columns[:, :d] = self._context.take(state.previous, axis=0)
        end = d + words * d
        columns[:, d:end] = meanings.reshape(len(columns), -1)
        columns[:, end : end + words] = rarity.T
        end += words
        columns[:, end] = state.step / length
        if self._reward.accrued:
            columns[:, end + 1] = np.clip(self._accrual_scale * (state.adequacy - state.fluency_penalty), -1.0, 1.0)
        if self._reward.potential:
            columns[:, end + 2] = np.clip(self._accrual_scale * state.adequacy, -1.0, 1.0)
        return columns


class Tokens:
    """Token ids for policies that learn embeddings.

    Columns: the previous token [1]; the tokens nearest to x_t … x_{t+k}, 0 past the end [k+1]; the clock, the number
    of steps so far [1]. The jitter of the meanings is not visible.
    """

    def __init__(self, task: Task, language: Language) -> None:
        self._length = task.max_steps
        self._language = language
        self._window = np.arange(task.lookahead + 1)
        self._nearest: tuple[Problems, NDArray[np.int64]] | None = None  # last problems, nearest tokens [N, L]
        self.low = np.zeros(task.lookahead + 3, dtype=np.int64)
        self.high = np.array([language.vocab_size - 1] * (task.lookahead + 2) + [task.max_steps])

    def observe(self, problems: Problems, state: State) -> Observations:
        """Return the observations, int64 [N, D]."""
        due = state.step + self._window[:, None]
        position = flat_positions(np.minimum(due, self._length - 1), self._length)
        words = self._nearest_to(problems).reshape(-1).take(position)
        words[due >= self._length] = 0
        return np.column_stack([state.previous, words.T, state.step])

    def _nearest_to(self, problems: Problems) -> NDArray[np.int64]:
        """Return the tokens nearest to all meanings, [N, L]; cached for the last problems, because it is expensive."""
        cached = self._nearest
        if cached is None or cached[0] is not problems:
            cached = self._nearest = problems, self._language.nearest(problems.meanings)
        return cached[1]


def flat_positions(steps: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the positions of steps [N] or [k, N] in arrays [N, length, …] whose first two axes are merged."""
    return steps + np.arange(0, steps.shape[-1] * length, length)
