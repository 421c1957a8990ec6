"""Run N episodes side by side: problem, state and next problem id of each row."""

import dataclasses
from typing import Any

import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from numpy.typing import NDArray

from token_env.episodes.ahead import ProblemsAhead
from token_env.episodes.snapshot import RowSnapshot
from token_env.errors import SettingError
from token_env.optimum.cache import optimal_returns, return_solver, score
from token_env.rules import rows as row_fields
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problem, Problems, ProblemStream
from token_env.rules.state import State, Transition

SUCCESS = 0.5  # lowest score of a successful episode


class Batch:
    """N rows, each of which plays problems in the order of their ids.

    Args:
        dynamics: Rules of the task.
        num_rows: Number of rows N.
        group_size: Number of consecutive rows that play the same problems: those of the first row of their group.
    """

    def __init__(self, dynamics: Dynamics, num_rows: int, group_size: int = 1) -> None:
        self.dynamics = dynamics
        self._next_dynamics: Dynamics | None = None  # replaces `dynamics` at the next start of all rows
        self.num_rows = num_rows
        length = dynamics.task.max_steps
        self._rows = np.arange(num_rows)
        self._first_of_group = self._rows - self._rows % group_size  # [N] row whose next problem this row plays
        self._stream = ProblemStream(dynamics.problems, num_rows)
        self._next_id = np.full(num_rows, -1, dtype=np.int64)  # [N] next problem id; -1 before the first reset
        self._problems: Problems | None = None
        self._ahead = ProblemsAhead()
        self._due: Observations | None = None  # `Dynamics.due` of the problems, once observations are asked for
        ids, totals = np.zeros(num_rows, dtype=np.int64), np.zeros(num_rows)
        self._state = State(ids, np.full(num_rows, length), totals, totals.copy())  # all episodes count as over
        self._split = np.full(num_rows, dynamics.task.split, dtype=object)  # [N]
        self.optimal_returns = np.full(num_rows, np.nan)  # [N] NaN unless the task has optimum=True
        self.tokens = np.zeros((num_rows, length), dtype=np.int64)  # [N, L] tokens so far
        # row → (problem id, running returns [L] of an optimal answer); filled for rendered rows
        self._optimal_running: dict[int, tuple[int, NDArray[np.float64]]] = {}

    @property
    def problems(self) -> Problems:
        """Problem of each row, [N].

        Raises:
            ResetNeeded: No problem has been started yet.
        """
        if self._problems is None:
            raise ResetNeeded("no episode has been started; call reset() first.")
        return self._problems

    @property
    def due(self) -> Observations:
        """Columns of the observations that the tokens do not change, `Dynamics.due` of the problems."""
        if self._due is None:
            self._due = self.dynamics.due(self.problems)
        return self._due

    @property
    def state(self) -> State:
        """State of each row, [N]."""
        return self._state

    def problem(self, row: int) -> Problem:
        """Return the problem of one row."""
        return self.problems.single(row)

    def running_returns(self, row: int) -> NDArray[np.float64]:
        """Return the return of one row after each of its t steps so far, float64 [t]."""
        return self._running_returns_of(row, self.tokens[row, : self._state.step[row]])

    def optimal_running_returns(self, row: int) -> NDArray[np.float64]:
        """Return the return after each step of an optimal answer to one row's problem, float64 [L]; cached."""
        problem_id = int(self.problems.ids[row])
        cached = self._optimal_running.get(row)
        if cached is None or cached[0] != problem_id:
            cached = self._optimal_running[row] = problem_id, self._running_returns_of(row, self.optimal_tokens(row))
        return cached[1]

    def optimal_tokens(self, row: int) -> NDArray[np.int64]:
        """Return an optimal answer to one row's problem, int64 [L]."""
        return return_solver(self.dynamics).tokens(row_fields.take(self.problems, slice(row, row + 1)))[0]

    def _running_returns_of(self, row: int, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the return after each of these tokens, [t], in one row's problem, [t]."""
        problems = row_fields.take(self.problems, slice(row, row + 1))
        state, returns = self.dynamics.initial(problems), np.empty(len(tokens))
        for t, token in enumerate(tokens):
            state = self.dynamics.transition(problems, state, token[None]).next_state
            returns[t] = state.adequacy[0] - state.fluency_penalty[0]
        return returns

    def draw_start(self, row: int, generator: np.random.Generator) -> None:
        """Draw the next problem id of one row at random."""
        self._next_id[row] = generator.integers(self.dynamics.problems.num_ids)

    def needs_start(self, row: int) -> bool:
        """Return whether one row has no next problem id yet."""
        return bool(self._next_id[row] < 0)

    def set_next(self, rows: NDArray[np.int64], problem_ids: object) -> None:
        """Set the next problem ids of these rows, [n].

        Args:
            rows: Rows to set, [n].
            problem_ids: One id for all rows, or one per row, [n].

        Raises:
            SettingError: Ids outside the split, or not one per row.
        """
        ids = self.dynamics.problems.validate_ids(problem_ids)
        if ids.shape not in ((), rows.shape):
            raise SettingError(f"problem_id has shape {ids.shape}; {rows.shape} is needed, one id a row.")
        self._next_id[rows] = ids

    def set_difficulty(self, noise: float, message_vocab: int | None) -> None:
        """Change the noise and message vocabulary of the problems, from the next start of all rows together.

        Rows continue with the same ids; all other constants stay. A new message vocabulary takes V²d operations.

        Args:
            noise: σ, jitter of the meanings relative to their length.
            message_vocab: Number of tokens that messages use; None for the whole vocabulary.

        Raises:
            SettingError: A value that is not allowed.
        """
        task, language = self.dynamics.task, self.dynamics.language
        task = dataclasses.replace(task, noise=noise, message_vocab=message_vocab, language=language)
        self._next_dynamics = Dynamics(task)

    def _change_dynamics(self, dynamics: Dynamics) -> None:
        self.dynamics, self._next_dynamics = dynamics, None
        self._stream = ProblemStream(dynamics.problems, self.num_rows)
        self._optimal_running.clear()

    def draw_ahead(self) -> None:
        """Let a thread draw the problems that all rows start next; `start` takes them, unless it needs others."""
        if self._next_dynamics is None:
            self._ahead.draw(self._next_ids(self._rows), self._draw)

    def close(self) -> None:
        """End the thread that draws problems, if there is one."""
        self._ahead.close()

    def _draw(self, ids: NDArray[np.int64]) -> tuple[Problems, Observations]:
        problems = self._stream.take(self._rows, ids)
        return problems, self.dynamics.due(problems)

    def _next_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids of the problems that these rows start next, [n]."""
        return self._next_id[self._first_of_group[rows]]

    def start(self, rows: NDArray[np.int64]) -> None:
        """Start the next problem in these rows, [n]."""
        ids = self._next_ids(rows)
        ahead = self._ahead.take(ids)
        if self._next_dynamics and len(rows) == self.num_rows:
            self._change_dynamics(self._next_dynamics)
            ahead = None
        fresh, due = ahead or (self._stream.take(rows, ids), None)
        self._next_id[rows] = (ids + 1) % self.dynamics.problems.num_ids
        if self.dynamics.task.optimum:
            self.optimal_returns[rows] = optimal_returns(self.dynamics, fresh)
        self._put_problems(rows, fresh, due)
        self._put_state(rows, self.dynamics.initial(fresh))

    def _put_problems(self, rows: NDArray[np.int64], fresh: Problems, due: Observations | None = None) -> None:
        """Let these rows, [n], play other problems, [n]; `due` is `Dynamics.due` of them, if it is known."""
        if len(rows) == self.num_rows:
            self._problems, self._due = fresh, due
            return
        if self._problems is None:
            self._problems = row_fields.zeros(fresh, self.num_rows)
        self._problems = row_fields.replace(self._problems, rows, fresh)
        if self._due is not None:
            self._due[rows] = self.dynamics.due(fresh)

    def _put_state(self, rows: NDArray[np.int64], fresh: State) -> None:
        self._state = fresh if len(rows) == self.num_rows else row_fields.replace(self._state, rows, fresh)

    def step(self, action: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> Transition:
        """Say one token in every row, or in these rows only.

        Args:
            action: Tokens, int64 [N], or [n] for `rows`.
            rows: Rows to step, [n]; all if None.

        Returns:
            Transition of the rows that were stepped.

        Raises:
            ResetNeeded: A row has no step left.
        """
        problems, state = self.problems, self._state
        if rows is not None:
            problems, state = row_fields.take(problems, rows), row_fields.take(state, rows)
        if np.count_nonzero(self.dynamics.is_done(state)):
            raise ResetNeeded("an episode is over; call reset() before the next step().")
        transition = self.dynamics.transition(problems, state, action)
        if rows is None:
            self._state = transition.next_state
            self.tokens[self._rows, state.step] = action
        else:
            self._state = row_fields.replace(self._state, rows, transition.next_state)
            self.tokens[rows, state.step] = action
        return transition

    def end(
        self, tokens: NDArray[np.int64], adequacy: NDArray[np.floating], fluency_penalty: NDArray[np.floating]
    ) -> None:
        """Put all rows at the end of episodes that were played elsewhere, from the first step to the last.

        Args:
            tokens: Tokens of the episodes, int64 [N, L].
            adequacy: Sums over the episodes, [N].
            fluency_penalty: Sums over the episodes, [N].
        """
        self.tokens[:] = tokens
        terms = (np.asarray(term, dtype=np.float64) for term in (adequacy, fluency_penalty))
        self._state = State(self.tokens[:, -1].copy(), np.full(self.num_rows, self.dynamics.task.max_steps), *terms)

    def episode_infos(self) -> dict[str, NDArray[Any]]:
        """Return what infos contain about the episode of each row, new arrays [N] by name.

        The names are the same in all steps; before the end the score is 0, and no episode is a success.
        """
        infos: dict[str, NDArray[Any]] = {"problem_id": self.problems.ids.copy(), "split": self._split.copy()}
        if self.dynamics.task.optimum:
            scores, ended = np.zeros(self.num_rows), self.dynamics.is_done(self._state)
            if ended.any():
                returns = self._state.adequacy - self._state.fluency_penalty
                scores[ended] = score(returns[ended], self.optimal_returns[ended])
            infos["optimal_return"] = self.optimal_returns.copy()
            infos["score"], infos["is_success"] = scores, scores >= SUCCESS
        return infos

    def snapshot(self, row: int) -> RowSnapshot:
        """Return all numbers that decide how one row goes on, and what its infos contain."""
        ids = int(self.problems.ids[row]), int(self._next_id[row])
        tokens = tuple(self.tokens[row, : self._state.step[row]].tolist())
        terms = float(self._state.adequacy[row]), float(self._state.fluency_penalty[row])
        optimum = float(self.optimal_returns[row]) if self.dynamics.task.optimum else None
        return RowSnapshot(self.dynamics.fingerprint, *ids, tokens, *terms, optimum)

    def restore(self, row: int, snapshot: RowSnapshot) -> None:
        """Put one row where it was at a snapshot; its problem is drawn again only if the row plays another one.

        Raises:
            SettingError: The snapshot is of other rules.
        """
        snapshot.check(self.dynamics.fingerprint)
        rows, tokens = np.array([row]), snapshot.tokens
        if self._problems is None or self._problems.ids[row] != snapshot.problem_id:
            self._put_problems(rows, self._stream.take(rows, np.array([snapshot.problem_id])))
        self._next_id[row] = snapshot.next_id
        if snapshot.optimal_return is not None:
            self.optimal_returns[row] = snapshot.optimal_return
        self.tokens[row, : len(tokens)] = tokens
        self._put_state(rows, snapshot.state(self.problems.start[row]))

    def observe(self) -> Observations:
        """Return the observations of all rows, [N, D]."""
        return self.dynamics.observe_due(self.due, self._state)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the legal tokens of each row, bool [N, V]."""
        _ = self.problems
        return self.dynamics.legal(self._state)

    def validate_actions(self, action: Any) -> NDArray[np.int64]:
        """Return actions as int64, [N].

        Raises:
            InvalidAction: Not one integer per row, or a token outside the vocabulary.
        """
        size = self.dynamics.language.vocab_size
        array = np.asarray(action)
        if array.shape != (self.num_rows,) or array.dtype.kind not in "iu":
            raise InvalidAction(
                f"an action is one integer a row, shape ({self.num_rows},); {array.dtype} of shape {array.shape} "
                f"was given. Type a token from 0 to {size - 1}."
            )
        invalid = (array < 0) | (array >= size)
        if np.count_nonzero(invalid):
            row = int(np.flatnonzero(invalid)[0])
            raise InvalidAction(f"action {array[row]} of row {row} is no token; tokens are 0 … {size - 1}.")
        return array.astype(np.int64)
