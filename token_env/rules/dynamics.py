"""Compute the task's rules on batches: functions of N rows without side effects on their arguments.

Only this module, `rewards.py`, `masks.py` and `observations.py` compute rewards, masks and observations.
Letters: N rows, L message length, V vocabulary, d dimension, D columns of an observation.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.languages.find import find_language
from token_env.rules.masks import ActionMasks
from token_env.rules.observations import Features, Observations, Observer, Tokens, flat_positions
from token_env.rules.problems import Problems, ProblemSampler
from token_env.rules.rewards import find_reward
from token_env.rules.state import State, Transition
from token_env.rules.task import Task
from token_env.rules.terms import adequacy, fluency_penalty


class Dynamics:
    """The rules of the task for one set of constants.

    Args:
        task: The constants.

    Raises:
        SettingError: A language or reward that is not available.
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
        """Problems of the task's split, by id."""
        task = self.task
        return ProblemSampler(self.message_language, task.split, task.max_steps, task.noise, task.num_problems)

    def initial(self, problems: Problems) -> State:
        """Return the state before the first token.

        Args:
            problems: Problems to start, [N].
        """
        size = len(problems.start)
        return State(problems.start.copy(), np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size))

    def transition(self, problems: Problems, state: State, action: NDArray[np.int64]) -> Transition:
        """Return the transition after one token per row.

        Args:
            problems: Problems of the rows, [N].
            state: Current state, [N]; every row must have a step left.
            action: Tokens to say, int [N].
        """
        task, language = self.task, self.language
        position = flat_positions(state.step, task.max_steps)
        meaning_due = problems.meanings.reshape(-1, language.dimension).take(position, axis=0)
        cosine = np.vecdot(language.meaning.take(action, axis=0), meaning_due)
        adequacies = adequacy(cosine, problems.weights.reshape(-1).take(position), task.adequacy_scale)
        surprisal = language.surprisal(state.previous, action)
        penalty = fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)
        next_state = State(action, state.step + 1, state.adequacy + adequacies, state.fluency_penalty + penalty)
        return Transition(
            state,
            action,
            problems.message.reshape(-1).take(position),
            adequacies,
            penalty,
            next_state,
            self.is_done(next_state),
            task.discount,
        )

    def rewards(self, transition: Transition) -> NDArray[np.float64]:
        """Return the rewards of a step, float64 [N].

        Raises:
            SettingError: A user's reward function returned something other than N numbers.
        """
        if self.reward.is_users:  # which may work in place
            transition = transition.read_only()
        rewards = np.asarray(self.reward.function(transition), dtype=np.float64)
        if rewards.shape != transition.action.shape:
            raise SettingError(
                f"the reward function returned shape {rewards.shape} for {len(transition.action)} rows; "
                f"it must return one number a row, shape {transition.action.shape}."
            )
        return rewards

    def dense_rewards(self, problems: Problems, state: State) -> NDArray[np.float64]:
        """Return the dense reward of each token at the current step, float64 [N, V].

        Args:
            problems: Problems of the rows, [N].
            state: Current state, [N].
        """
        task, language = self.task, self.language
        position = flat_positions(state.step, task.max_steps)
        cosine = problems.meanings.reshape(-1, language.dimension)[position] @ language.meaning.T
        adequacies = adequacy(cosine, problems.weights.reshape(-1)[position][:, None], task.adequacy_scale)
        surprisals = language.surprisals(state.previous)
        return adequacies - fluency_penalty(surprisals, task.surprisal_budget, task.fluency_scale)

    def is_done(self, state: State) -> NDArray[np.bool_]:
        """Return whether the message is complete, bool [N]."""
        return state.step >= self.task.max_steps

    def legal(self, state: State) -> NDArray[np.bool_]:
        """Return the tokens within the mask budget (nats), bool [N, V]; always at least the least surprising one."""
        return self._masks.legal(state.previous)

    @property
    def mask_budget(self) -> float:
        """Surprisal above which a token is masked, nats."""
        budget = self.task.mask_budget
        return self.task.surprisal_budget if budget is None else budget

    @cached_property
    def _masks(self) -> ActionMasks:
        return ActionMasks(self.language, self.mask_budget)

    def observe(self, problems: Problems, state: State) -> Observations:
        """Return the observations, a new array [N, D].

        Args:
            problems: Problems of the rows, [N].
            state: Current state, [N].
        """
        return self._observer.observe(problems, state)

    @property
    def observation_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Lower and upper bound of each column of an observation, [D] each, in the observation's dtype."""
        return self._observer.low, self._observer.high
