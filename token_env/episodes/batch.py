"""Play N episodes side by side: which problem each row plays, how far it is, which comes next."""

import dataclasses
from typing import Any

import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import NDArray

from token_env.errors import SettingError, unknown_name
from token_env.optimum.cache import optimal_returns, return_solver, score
from token_env.rules import rows as row_fields
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problem, Problems, ProblemStream
from token_env.rules.state import State, Transition

RESET_OPTIONS = ("problem_id",)
SUCCESS = 0.5  # the score from which on an episode counts as a success


class Batch:
    """N rows, each playing one problem after another in the order of their ids."""

    def __init__(self, dynamics: Dynamics, num_rows: int) -> None:
        self.dynamics = dynamics
        self._dynamics_to_come: Dynamics | None = None  # from when on all rows begin together
        self.num_rows = num_rows
        length = dynamics.task.max_steps
        self._rows = np.arange(num_rows)
        self._stream = ProblemStream(dynamics.problems, num_rows)
        self._next_id = np.full(num_rows, -1, dtype=np.int64)  # -1: not known before the first reset
        self._problems: Problems | None = None
        ids, totals = np.zeros(num_rows, dtype=np.int64), np.zeros(num_rows)
        # rows that have not been started count as over
        self._state = State(ids, np.full(num_rows, length), totals, totals.copy())
        self.optimal_returns = np.full(num_rows, np.nan)  # [N] where the task has optimum=True
        self.said = np.zeros((num_rows, length), dtype=np.int64)  # [N, L] tokens said so far
        # row → problem id, returns [L] of its best answer; only of rows that were drawn
        self._optimal_running: dict[int, tuple[int, NDArray[np.float64]]] = {}

    @property
    def problems(self) -> Problems:
        """The problem each row plays, [N].

        Raises:
            ResetNeeded: no problem has been started yet.
        """
        if self._problems is None:
            raise ResetNeeded("no episode has been started; call reset() first.")
        return self._problems

    @property
    def state(self) -> State:
        """How far each row is, [N]."""
        return self._state

    def problem(self, row: int) -> Problem:
        """The problem that this row plays."""
        return self.problems.single(row)

    def running_returns(self, row: int) -> NDArray[np.float64]:
        """What this row had earned after each of its steps so far, [t], by the components."""
        return self._returns_of(row, self.said[row, : self._state.step[row]])

    def optimal_running_returns(self, row: int) -> NDArray[np.float64]:
        """What the best answer to this row's problem has earned after each step, [L]; solved once a problem."""
        problem_id = int(self.problems.ids[row])
        held = self._optimal_running.get(row)
        if held is None or held[0] != problem_id:
            held = self._optimal_running[row] = problem_id, self._returns_of(row, self.optimal_tokens(row))
        return held[1]

    def optimal_tokens(self, row: int) -> NDArray[np.int64]:
        """The best answer to the problem of this row, [L] tokens."""
        return return_solver(self.dynamics).tokens(row_fields.take(self.problems, slice(row, row + 1)))[0]

    def _returns_of(self, row: int, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """What saying these tokens, [t], earns in the problem of this row, after each of them, [t]."""
        problems = row_fields.take(self.problems, slice(row, row + 1))
        state, returns = self.dynamics.initial(problems), np.empty(len(tokens))
        for t, token in enumerate(tokens):
            state = self.dynamics.transition(problems, state, token[None]).next_state
            returns[t] = state.adequacy[0] - state.fluency_penalty[0]
        return returns

    def draw_start(self, row: int, generator: np.random.Generator) -> None:
        """Choose at random which problem this row plays next."""
        self._next_id[row] = generator.integers(self.dynamics.problems.num_ids)

    def needs_start(self, row: int) -> bool:
        """Whether this row does not know yet which problem it plays first."""
        return bool(self._next_id[row] < 0)

    def set_next(self, rows: NDArray[np.int64], problem_ids: object) -> None:
        """Choose which problems, [n] or one for all, these rows, [n], play next.

        Raises:
            SettingError: ids outside the split, or not one for each row.
        """
        ids = self.dynamics.problems.checked_ids(problem_ids)
        if ids.shape not in ((), rows.shape):
            raise SettingError(f"problem_id has shape {ids.shape}; {rows.shape} is needed, one id a row.")
        self._next_id[rows] = ids

    def set_difficulty(self, noise: float, message_vocab: int | None) -> None:
        """Play problems of another noise and message vocabulary, from when on all rows begin together.

        Rows keep walking through the same ids; everything else of the task stays. Costs V²d for a message vocabulary
        that is met for the first time.

        Raises:
            SettingError: a value that is not allowed.
        """
        now = self.dynamics
        task = dataclasses.replace(now.task, noise=noise, message_vocab=message_vocab, language=now.language)
        self._dynamics_to_come = Dynamics(task)

    def _change_dynamics(self, dynamics: Dynamics) -> None:
        self.dynamics, self._dynamics_to_come = dynamics, None
        self._stream = ProblemStream(dynamics.problems, self.num_rows)
        self._optimal_running.clear()

    def start(self, rows: NDArray[np.int64]) -> None:
        """Begin the next problem in these rows, [n]."""
        if self._dynamics_to_come and len(rows) == self.num_rows:
            self._change_dynamics(self._dynamics_to_come)
        ids = self._next_id[rows]
        fresh = self._stream.take(rows, ids)
        self._next_id[rows] = (ids + 1) % self.dynamics.problems.num_ids
        if self.dynamics.task.optimum:
            self.optimal_returns[rows] = optimal_returns(self.dynamics, fresh)
        begun = self.dynamics.initial(fresh)
        if len(rows) == self.num_rows:
            self._problems, self._state = fresh, begun
            return
        if self._problems is None:
            self._problems = row_fields.zeros(fresh, self.num_rows)
        self._problems = row_fields.replaced(self._problems, rows, fresh)
        self._state = row_fields.replaced(self._state, rows, begun)

    def step(self, action: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> Transition:
        """Say one token in every row, [N], or in these rows only, [n] of each.

        Raises:
            ResetNeeded: a row has no step left.
        """
        problems, state = self.problems, self._state
        if rows is not None:
            problems, state = row_fields.take(problems, rows), row_fields.take(state, rows)
        if np.count_nonzero(self.dynamics.is_done(state)):
            raise ResetNeeded("an episode is over; call reset() before the next step().")
        transition = self.dynamics.transition(problems, state, action)
        if rows is None:
            self._state = transition.next_state
            self.said[self._rows, state.step] = action
        else:
            self._state = row_fields.replaced(self._state, rows, transition.next_state)
            self.said[rows, state.step] = action
        return transition

    def endings(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What the end of an episode tells about these rows, [n], but for the step's components: [n] each."""
        task = self.dynamics.task
        columns: dict[str, NDArray[Any]] = {
            "problem_id": self.problems.ids[rows],
            "split": np.full(len(rows), task.split, dtype=object),
        }
        if task.optimum:
            earned = (self._state.adequacy - self._state.fluency_penalty)[rows]
            optimal = self.optimal_returns[rows]
            scores = score(earned, optimal)
            columns |= {"optimal_return": optimal, "score": scores, "is_success": scores >= SUCCESS}
        return columns

    def observe(self) -> Observations:
        """What each row sees, [N, D]."""
        return self.dynamics.observe(self.problems, self._state)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which tokens each row may say, [N, V]."""
        _ = self.problems
        return self.dynamics.legal(self._state)

    def checked_action(self, action: Any) -> NDArray[np.int64]:
        """Actions as int64, [N].

        Raises:
            InvalidAction: not one integer a row, or a token outside the vocabulary.
        """
        size = self.dynamics.language.vocab_size
        array = np.asarray(action)
        if array.shape != (self.num_rows,) or array.dtype.kind not in "iu":
            raise InvalidAction(
                f"an action is one integer a row, shape ({self.num_rows},); {array.dtype} of shape {array.shape} "
                f"was given. Type a token from 0 to {size - 1}."
            )
        wrong = (array < 0) | (array >= size)
        if np.count_nonzero(wrong):
            row = int(np.flatnonzero(wrong)[0])
            raise InvalidAction(f"action {array[row]} of row {row} is no token; tokens are 0 … {size - 1}.")
        return array.astype(np.int64)


def checked_options(options: dict[str, Any] | None, known: tuple[str, ...] = RESET_OPTIONS) -> dict[str, Any]:
    """The options of a reset, all of them known.

    Raises:
        SettingError: an unknown option.
    """
    for name in options or {}:
        if name not in known:
            raise unknown_name("reset option", name, known)
    return options or {}


def seeded_generator(seed: int | None) -> np.random.Generator:
    """The generator that `Env.reset(seed=seed)` would make; a fresh one for None."""
    return seeding.np_random(seed)[0]
