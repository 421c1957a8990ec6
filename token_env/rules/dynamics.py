"""Compute the task's rules on batches: functions of N rows without side effects on their arguments.

Only this module, `terms.py`, `rewards.py`, `masks.py` and `observations.py` compute rewards, masks and observations.
They take NumPy arrays, and after `Dynamics.on` arrays of another library that follows the array API standard.
Letters: N rows, L message length, V vocabulary, d dimension, D columns of an observation.
"""

import copy
import dataclasses
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.languages.find import find_language
from token_env.languages.language import Language
from token_env.languages.surprisal import Array, rows_of, surprisal
from token_env.rules.masks import ActionMasks
from token_env.rules.observations import Features, Observations, Observer, Tokens
from token_env.rules.problems import Problems, ProblemSampler
from token_env.rules.rewards import RewardFunction, find_reward
from token_env.rules.state import State, Transition
from token_env.rules.task import Task
from token_env.rules.terms import adequacy, fluency_penalty


class Vectors(NamedTuple):
    """The arrays of a language that a transition looks up."""

    context: Array  # [V, d] vectors of the previous tokens
    output: Array  # [V, d] vectors of the next tokens
    meaning: Array  # [V, d] vectors of the meanings
    log_normalizer: Array  # [V] nats
    floored_log_unigram: Array  # [V] nats


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
        self._vectors = _vectors(self.language)

    @property
    def _xp(self) -> Any:
        """Namespace of the array library."""
        array = self._vectors.context
        return np if isinstance(array, np.ndarray) else array_namespace(array)

    def on(self, convert: Callable[[NDArray[Any]], Array]) -> "Dynamics":
        """Return the same rules for arrays of another library; only the drawing of problems stays with NumPy.

        Args:
            convert: Function that turns NumPy arrays into arrays of the library, in its precision and on its device.

        Raises:
            SettingError: The reward is a user's function, which takes NumPy arrays.
        """
        if self.reward.is_users:
            raise SettingError(
                "a reward function of a user's takes NumPy arrays; the rules on others need a named one."
            )
        other = copy.copy(self)
        other._vectors = Vectors(*map(convert, self._vectors))
        other._observer, other._masks = copy.copy(self._observer), copy.copy(self._masks)
        other._observer.spoken = convert(self._observer.spoken)
        other._masks.left, other._masks.right = convert(self._masks.left), convert(self._masks.right)
        return other

    def _make_observer(self) -> Observer:
        if self.task.observation == "features":
            return Features(self.task, self.language, self.message_language, self.reward)
        return Tokens(self.task, self.language)

    @cached_property
    def problems(self) -> ProblemSampler:
        """Problems of the task's split, by id."""
        task = self.task
        return ProblemSampler(self.message_language, task.split, task.max_steps, task.noise, task.num_problems)

    @cached_property
    def fingerprint(self) -> int:
        """Hash of the constants and languages, 64 bits; the same in every process, and another one for other rules."""
        constants = {field.name: getattr(self.task, field.name) for field in dataclasses.fields(self.task)}
        constants["language"] = self.language.fingerprint, self.message_language.fingerprint
        constants |= {"language_seed": None, "reward": _name(self.task.reward)}
        return int.from_bytes(hashlib.sha256(repr(sorted(constants.items())).encode()).digest()[:8])

    def initial(self, problems: Problems) -> State:
        """Return the state before the first token.

        Args:
            problems: Problems to start, [N].
        """
        xp, first_weights = self._xp, problems.weights[:, 0]
        no_steps, no_terms = xp.zeros_like(problems.start), (xp.zeros_like(first_weights) for _ in range(2))
        return State(xp.asarray(problems.start, copy=True), no_steps, *no_terms)

    def transition(self, problems: Problems, state: State, action: NDArray[np.int64]) -> Transition:
        """Return the transition after one token per row.

        Args:
            problems: Problems of the rows, [N].
            state: Current state, [N]; every row must have a step left.
            action: Tokens to say, int [N].
        """
        task, vectors, xp = self.task, self._vectors, self._xp
        position = self._positions(state.step, task.max_steps)
        meaning_due = rows_of(problems.meanings.reshape(-1, problems.meanings.shape[2]), position)
        cosine = xp.vecdot(rows_of(vectors.meaning, action), meaning_due)
        adequacies = adequacy(cosine, problems.weights.reshape(-1)[position], task.adequacy_scale)
        surprisals = surprisal(vectors, state.previous, action, xp)
        penalty = fluency_penalty(surprisals, task.surprisal_budget, task.fluency_scale)
        next_state = State(action, state.step + 1, state.adequacy + adequacies, state.fluency_penalty + penalty)
        return Transition(
            state,
            action,
            problems.message.reshape(-1)[position],
            adequacies,
            penalty,
            next_state,
            self.is_done(next_state),
            task.discount,
        )

    def rewards(self, transition: Transition) -> NDArray[np.float64]:
        """Return the rewards of a step, [N].

        Raises:
            SettingError: A user's reward function returned something other than N numbers.
        """
        if not self.reward.is_users:
            return self.reward.function(transition)
        # the user's function may work in place
        rewards = np.asarray(self.reward.function(transition.read_only()), dtype=np.float64)
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
        position = self._positions(state.step, task.max_steps)
        cosine = problems.meanings.reshape(-1, language.dimension)[position] @ language.meaning.T
        adequacies = adequacy(cosine, problems.weights.reshape(-1)[position][:, None], task.adequacy_scale)
        surprisals = language.surprisals(state.previous)
        return adequacies - fluency_penalty(surprisals, task.surprisal_budget, task.fluency_scale)

    def is_done(self, state: State) -> NDArray[np.bool_]:
        """Return whether the message is complete, bool [N]."""
        return state.step >= self.task.max_steps

    def legal(self, state: State) -> NDArray[np.bool_]:
        """Return the tokens within the mask budget (nats), bool [N, V]; always at least the least surprising one."""
        return self._masks.legal(state.previous, self._xp)

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
        return self.observe_due(self.due(problems), state)

    def due(self, problems: Problems) -> Observations:
        """Return the columns of the observations that the agent's tokens do not change, for NumPy alone.

        Args:
            problems: Problems of the rows, [N].

        Returns:
            The columns after 0 … L steps, [N, L + 1, columns].
        """
        return self._observer.due(problems)

    def observe_due(self, due: Array, state: State) -> Observations:
        """Return the observations, a new array [N, D].

        Args:
            due: Columns that the agent's tokens do not change, from `due`, [N, L + 1, columns].
            state: Current state, [N].
        """
        position = self._positions(state.step, due.shape[1])
        observations: Observations = self._observer.observe(
            rows_of(due.reshape(-1, due.shape[2]), position), state, self._xp
        )
        return observations

    def _positions(self, steps: Array, length: int) -> Array:
        """Return the positions of steps [N] in arrays [N, length, …] whose first two axes are merged."""
        return steps + self._xp.arange(0, len(steps) * length, length, device=steps.device)

    @property
    def observation_bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Lower and upper bound of each column of an observation, [D] each, in the observation's dtype."""
        return self._observer.low, self._observer.high


def _vectors(language: Language) -> Vectors:
    return Vectors(*(getattr(language, name) for name in Vectors._fields))


def _name(reward: str | RewardFunction) -> str:
    return reward if isinstance(reward, str) else f"{reward.__module__}:{getattr(reward, '__qualname__', '')}"
