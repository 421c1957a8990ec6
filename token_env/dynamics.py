"""The rules of the task, pure and batched: every function takes N rows and changes none of its arguments.

This is the only place that computes an observation, a reward or a mask. Letters: N rows, L message
length, V vocabulary, d dimension, k lookahead.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.languages import find_language
from token_env.problem import Problems, ProblemSampler
from token_env.rewards import find_reward
from token_env.state import State, Transition
from token_env.task import Task

MAX_RARITY = 2.0  # bound of an observed rarity, log(u_0 / u_b) / 10: 0.7 at 5,000 synthetic tokens


class Dynamics:
    """The rules under the constants of a `Task`.

    Raises:
        SettingError: a language or reward that cannot be had.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.language = find_language(task.language, task.vocab_size, task.language_seed)
        self.message_language = self.language.truncate(task.message_vocab or task.vocab_size)
        self.reward = find_reward(task.reward)
        context = self.language.context
        longest = np.linalg.norm(context, axis=1).max() or 1.0  # a language without contexts has them all zero
        self._seen_context = np.clip(context / longest, -1.0, 1.0).astype(np.float32)
        self._seen_rarity = np.clip(self.message_language.rarity, 0.0, MAX_RARITY).astype(np.float32)
        self._window = np.arange(task.lookahead + 1)
        self._accrual_scale = 1.0 / (task.adequacy_scale * task.max_steps or 1.0)  # α L: a verbatim message's adequacy

    @cached_property
    def problems(self) -> ProblemSampler:
        """The problems of the task's split, by id."""
        task = self.task
        return ProblemSampler(self.message_language, task.split, task.max_steps, task.noise, task.num_problems)

    def initial(self, problems: Problems) -> State:
        """The state before anything was said."""
        size = len(problems.start)
        return State(problems.start.copy(), np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size))

    def transition(self, problems: Problems, state: State, action: NDArray[np.int64]) -> Transition:
        """Say token `action`, [N]; every row must have a step left."""
        task, language = self.task, self.language
        place = _places(state.step, task.max_steps)
        meant = problems.meanings.reshape(-1, language.dimension).take(place, axis=0)
        cosine = np.vecdot(language.meaning.take(action, axis=0), meant)
        adequacy = task.adequacy_scale * problems.weights.reshape(-1).take(place) * np.maximum(cosine, 0.0)
        excess = language.surprisal(state.previous, action) - task.surprisal_budget
        penalty = task.fluency_scale * np.maximum(excess, 0.0)
        next_state = State(action, state.step + 1, state.adequacy + adequacy, state.fluency_penalty + penalty)
        return Transition(
            state,
            action,
            problems.message.reshape(-1).take(place),
            adequacy,
            penalty,
            next_state,
            self.is_done(next_state),
            task.discount,
        )

    def rewards(self, transition: Transition) -> NDArray[np.float64]:
        """What the step pays, [N].

        Raises:
            SettingError: a user's reward function returned something else than N numbers.
        """
        paid = np.asarray(self.reward.function(transition), dtype=np.float64)
        if paid.shape != transition.action.shape:
            raise SettingError(
                f"the reward function returned shape {paid.shape} for {len(transition.action)} rows; "
                f"it must return one number a row, shape {transition.action.shape}."
            )
        return paid

    def dense_rewards(self, problems: Problems, state: State) -> NDArray[np.float64]:
        """What each token would earn at this step by the dense reward, [N, V]."""
        task, language = self.task, self.language
        place = _places(state.step, task.max_steps)
        earned = problems.meanings.reshape(-1, language.dimension)[place] @ language.meaning.T
        np.maximum(earned, 0.0, out=earned)
        earned *= task.adequacy_scale * problems.weights.reshape(-1)[place][:, None]
        excess = language.surprisals(state.previous)
        excess -= task.surprisal_budget
        np.maximum(excess, 0.0, out=excess)
        excess *= task.fluency_scale
        return np.subtract(earned, excess, out=earned)

    def is_done(self, state: State) -> NDArray[np.bool_]:
        """Whether the message has been said to its end, [N]."""
        return state.step >= self.task.max_steps

    def legal(self, state: State) -> NDArray[np.bool_]:
        """Tokens within the mask budget after the previous one, [N, V]; always at least the least surprising one."""
        task = self.task
        budget = task.surprisal_budget if task.mask_budget is None else task.mask_budget
        left, right = self._mask_factors
        scores = left[state.previous] @ right  # minus surprisal
        allowed = scores >= np.float32(-budget)
        empty = np.flatnonzero(~allowed.any(axis=1))
        allowed[empty, scores[empty].argmax(axis=1)] = True
        return allowed

    @cached_property
    def _mask_factors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """[V, d + 2] and [d + 2, V], whose product is minus the surprisal of the column after the row."""
        language = self.language
        ones = np.ones(language.vocab_size)
        left = np.column_stack([language.context, ones, -language.log_normalizer])
        right = np.column_stack([language.output, language.floored_log_unigram, ones])
        return left.astype(np.float32), np.ascontiguousarray(right.T, dtype=np.float32)

    def observe(self, problems: Problems, state: State) -> NDArray[np.float32]:
        """What the agent sees, [N, observation_size]; a fresh array.

        Columns: context vector of the previous token, divided by the longest [d]; x_t … x_{t+k}, zeros past
        the end [(k+1)·d]; rarity of these words [k+1]; the clock, 0 at reset and 1 at the end [1]; for some
        rewards what has been accrued of the return, and of Φ [0, 1 or 2].
        """
        task, d, words = self.task, self.language.dimension, len(self._window)
        due = state.step + self._window[:, None]  # [k+1, N]: NumPy is fast along a long last axis
        place = _places(np.minimum(due, task.max_steps - 1), task.max_steps)
        meanings = problems.meanings.reshape(-1, d).take(place, axis=0)
        rarity = self._seen_rarity.take(problems.message.reshape(-1).take(place))
        past = due >= task.max_steps
        meanings[past] = 0.0
        rarity[past] = 0.0
        seen = np.empty((len(state.step), self.observation_size), dtype=np.float32)
        seen[:, :d] = self._seen_context.take(state.previous, axis=0)
        at = d + words * d
        seen[:, d:at].reshape(-1, words, d, copy=False)[:] = meanings.swapaxes(0, 1)
        seen[:, at : at + words] = rarity.T
        at += words
        seen[:, at] = state.step / task.max_steps
        if self.reward.accrued:
            seen[:, at + 1] = np.clip(self._accrual_scale * (state.adequacy - state.fluency_penalty), -1.0, 1.0)
        if self.reward.potential:
            seen[:, at + 2] = np.clip(self._accrual_scale * state.adequacy, -1.0, 1.0)
        return seen

    @cached_property
    def observation_size(self) -> int:
        """Columns of an observation."""
        return len(self.observation_bounds[0])

    @cached_property
    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least and the largest value of each column, [observation_size] each."""
        words = len(self._window)
        vectors = (words + 1) * self.language.dimension
        accrued = int(self.reward.accrued) + int(self.reward.potential)
        low = [-1.0] * vectors + [0.0] * (words + 1) + [-1.0] * accrued
        high = [1.0] * vectors + [MAX_RARITY] * words + [1.0] * (1 + accrued)
        return np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)


def _places(steps: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Where steps [N] or [k, N] of N rows stand in arrays [N, length, …] whose first two axes are merged."""
    return steps + np.arange(0, steps.shape[-1] * length, length)
