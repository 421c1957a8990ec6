"""Show an episode to the agent: the kinds of observation, each a function of N problems and how far they are."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language
from token_env.rules.problems import Problems
from token_env.rules.rewards import Reward
from token_env.rules.state import State
from token_env.rules.task import Task

MAX_RARITY = 2.0  # bound of an observed rarity, log(u_0 / u_b) / 10: 0.7 at 5,000 synthetic tokens

Observations = NDArray[Any]  # [N, D] float32 features or int64 tokens


class Observer(Protocol):
    """A kind of observation."""

    low: NDArray[Any]  # [D] the least value of each column; its dtype is that of the observation
    high: NDArray[Any]  # [D]

    def observe(self, problems: Problems, state: State) -> Observations:
        """What the agent sees, [N, D]; a fresh array."""


class Features:
    """Vectors: what the previous token asks for, what is to be said now and next, how rare, how far.

    Columns: context vector of the previous token, divided by the longest [d]; x_t … x_{t+k}, zeros past
    the end [(k+1)·d]; rarity of these words [k+1]; the clock, 0 at reset and 1 at the end [1]; for some
    rewards what has been accrued of the return, and of Φ [0, 1 or 2].
    """

    def __init__(self, task: Task, language: Language, message_language: Language, reward: Reward) -> None:
        self._task = task
        self._reward = reward
        self._dimension = language.dimension
        longest = np.linalg.norm(language.context, axis=1).max() or 1.0  # without contexts all are zero
        self._context = np.clip(language.context / longest, -1.0, 1.0).astype(np.float32)
        self._rarity = np.clip(message_language.rarity, 0.0, MAX_RARITY).astype(np.float32)
        self._window = np.arange(task.lookahead + 1)
        self._accrual_scale = 1.0 / (task.adequacy_scale * task.max_steps or 1.0)  # α L: a verbatim message's adequacy
        words = len(self._window)
        vectors = (words + 1) * self._dimension
        accrued = int(reward.accrued) + int(reward.potential)
        self.low = np.array([-1.0] * vectors + [0.0] * (words + 1) + [-1.0] * accrued, dtype=np.float32)
        self.high = np.array([1.0] * vectors + [MAX_RARITY] * words + [1.0] * (1 + accrued), dtype=np.float32)

    def observe(self, problems: Problems, state: State) -> Observations:
        """See `Observer`."""
        length, d, words = self._task.max_steps, self._dimension, len(self._window)
        due = state.step + self._window[:, None]  # [k+1, N]: NumPy is fast along a long last axis
        place = places(np.minimum(due, length - 1), length)
        meanings = problems.meanings.reshape(-1, d).take(place.T, axis=0)
        rarity = self._rarity.take(problems.message.reshape(-1).take(place))
        past = due >= length
        if past[-1].any():
            meanings[past.T] = 0.0
            rarity[past] = 0.0
        seen = np.empty((len(state.step), len(self.low)), dtype=np.float32)
        seen[:, :d] = self._context.take(state.previous, axis=0)
        at = d + words * d
        seen[:, d:at] = meanings.reshape(len(seen), -1)
        seen[:, at : at + words] = rarity.T
        at += words
        seen[:, at] = state.step / length
        if self._reward.accrued:
            seen[:, at + 1] = np.clip(self._accrual_scale * (state.adequacy - state.fluency_penalty), -1.0, 1.0)
        if self._reward.potential:
            seen[:, at + 2] = np.clip(self._accrual_scale * state.adequacy, -1.0, 1.0)
        return seen


class Tokens:
    """Ids, for policies that learn embeddings: of the previous token and of those nearest to what is to be said.

    Columns: the previous token [1]; the tokens nearest to x_t … x_{t+k}, 0 past the end [k+1]; the clock, the number
    of tokens said so far [1]. The jitter is left out.
    """

    def __init__(self, task: Task, language: Language) -> None:
        self._length = task.max_steps
        self._language = language
        self._window = np.arange(task.lookahead + 1)
        self._nearest: tuple[Problems, NDArray[np.int64]] | None = None  # of the problems seen last, [N, L]
        self.low = np.zeros(task.lookahead + 3, dtype=np.int64)
        self.high = np.array([language.vocab_size - 1] * (task.lookahead + 2) + [task.max_steps])

    def observe(self, problems: Problems, state: State) -> Observations:
        """See `Observer`."""
        due = state.step + self._window[:, None]
        words = self._nearest_to(problems).reshape(-1).take(places(np.minimum(due, self._length - 1), self._length))
        words[due >= self._length] = 0
        return np.column_stack([state.previous, words.T, state.step])

    def _nearest_to(self, problems: Problems) -> NDArray[np.int64]:
        """The tokens nearest to all meanings, [N, L]: V work each, so they are kept while the problems last."""
        kept = self._nearest
        if kept is None or kept[0] is not problems:
            kept = self._nearest = problems, self._language.nearest(problems.meanings)
        return kept[1]


def places(steps: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Where steps [N] or [k, N] of N rows stand in arrays [N, length, …] whose first two axes are merged."""
    return steps + np.arange(0, steps.shape[-1] * length, length)
