"""The rules of the task, pure and batched: every function takes N rows and changes none of its arguments.

With `rewards.py` and `observations.py` this is the only place that computes a reward, a mask or an observation.
Letters: N rows, L message length, V vocabulary, d dimension, D columns of an observation.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.languages.find import find_language
from token_env.rules.observations import Features, Observations, Observer, Tokens, places
from token_env.rules.problems import Problems, ProblemSampler
from token_env.rules.rewards import find_reward
from token_env.rules.state import State, Transition
from token_env.rules.task import Task
from token_env.rules.terms import adequacy, fluency_penalty


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
        self._observer = self._make_observer()

    def _make_observer(self) -> Observer:
        if self.task.observation == "features":
            return Features(self.task, self.language, self.message_language, self.reward)
        return Tokens(self.task, self.language)

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
        place = places(state.step, task.max_steps)
        meant = problems.meanings.reshape(-1, language.dimension).take(place, axis=0)
        cosine = np.vecdot(language.meaning.take(action, axis=0), meant)
        earned = adequacy(cosine, problems.weights.reshape(-1).take(place), task.adequacy_scale)
        surprisal = language.surprisal(state.previous, action)
        penalty = fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)
        next_state = State(action, state.step + 1, state.adequacy + earned, state.fluency_penalty + penalty)
        return Transition(
            state,
            action,
            problems.message.reshape(-1).take(place),
            earned,
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
        place = places(state.step, task.max_steps)
        cosine = problems.meanings.reshape(-1, language.dimension)[place] @ language.meaning.T
        earned = adequacy(cosine, problems.weights.reshape(-1)[place][:, None], task.adequacy_scale)
        surprisals = language.surprisals(state.previous)
        return earned - fluency_penalty(surprisals, task.surprisal_budget, task.fluency_scale)

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

    def observe(self, problems: Problems, state: State) -> Observations:
        """What the agent sees, [N, D]; a fresh array."""
        return self._observer.observe(problems, state)

    @property
    def observation_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The least and the largest value of each column of an observation, [D] each, in its dtype."""
        return self._observer.low, self._observer.high
