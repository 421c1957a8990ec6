"""Run N episodes at a time: the task as a `gymnasium.vector.VectorEnv`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from token_env.drawing.as_text import draw_text
from token_env.env import observation_space
from token_env.episodes.batch import Batch
from token_env.episodes.resets import RESET_OPTIONS, seeded_generator, validate_options
from token_env.errors import SettingError, find, unknown_name
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problems
from token_env.rules.task import Task, make_task

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Terms = tuple[FloatArray, FloatArray]  # adequacy and fluency penalty of a step, [N] each


class TokenVectorEnv(VectorEnv[Observations, NDArray[np.int64], BoolArray]):
    """A batch of N independent `TokenEnv`s, made by `gymnasium.make_vec("TokenTask-v0", num_envs=N)`.

    Steps, seeds and infos equal those of `gymnasium.vector.SyncVectorEnv` over N `TokenEnv`s: row i after
    `reset(seed=s)` plays the same problem as `TokenEnv` after `reset(seed=s + i)`.

    Args:
        num_envs: Number of rows N.
        autoreset_mode: What happens at the end of an episode; a string or an `AutoresetMode`. "NextStep" (default, as
            in Gymnasium's own vector environments, and what its wrappers expect): the next step starts a new episode,
            ignores the row's action and pays 0. "SameStep": the last step of an episode already returns the first
            observation of the next one, and its own observation and infos in `final_obs` and `final_info`.
            "Disabled": start new episodes with `reset(options={"reset_mask": bool [N]})`.
        render_mode: None, "ansi" or "rgb_array".
        group_size: Number of consecutive rows that play the same problems, for algorithms that compare answers to one
            problem: rows that start together play what the first row of their group would play. Divides `num_envs`.
        **keywords: Fields of `token_env.Task`.

    Raises:
        SettingError: An unknown keyword or mode, or a value that is not allowed.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        group_size: int = 1,
        **keywords: Any,
    ) -> None:
        for name, count in (("num_envs", num_envs), ("group_size", group_size)):
            if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
                raise SettingError(f"{name} is {count!r}; it must be an integer of at least 1.")
        if num_envs % group_size:
            raise SettingError(f"num_envs is {num_envs}; it must be a multiple of group_size, {group_size}.")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown_name("render mode", render_mode, self.metadata["render_modes"])
        modes = {member.value: member for member in AutoresetMode}
        mode = autoreset_mode.value if isinstance(autoreset_mode, AutoresetMode) else autoreset_mode
        self.autoreset_mode = find("autoreset mode", mode, modes)
        self.metadata = dict(self.metadata) | {"autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.num_envs = num_envs
        dynamics = Dynamics(make_task(**keywords))
        self._batch = Batch(dynamics, num_envs, group_size)
        self._finished = np.zeros(num_envs, dtype=np.bool_)  # [N] rows whose episode is over and not yet reset
        self._rows = np.arange(num_envs)
        self._every_row = np.ones(num_envs, dtype=np.bool_)
        self.single_observation_space = observation_space(dynamics)
        self.single_action_space = spaces.Discrete(dynamics.task.vocab_size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def task(self) -> Task:
        """Constants of the current task."""
        return self._batch.dynamics.task

    @property
    def language(self) -> Language:
        """Language of the tokens that the agent can say."""
        return self._batch.dynamics.language

    @property
    def dynamics(self) -> Dynamics:
        """Rules of the current task."""
        return self._batch.dynamics

    @property
    def due(self) -> Observations:
        """Columns of the observations that the tokens do not change, of the current episodes: `Dynamics.due`."""
        return self._batch.due

    @property
    def problems(self) -> Problems:
        """Problems of the current episodes, [N].

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return self._batch.problems

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start the next problem in every row, or in the rows of `options["reset_mask"]` (bool [N]) only.

        Args:
            seed: First seed (row i uses `seed + i`), or one seed per row; None keeps the order of the problems.
            options: `problem_id`, one id for all rows or int [N], chooses the problems; `reset_mask` chooses the rows.

        Returns:
            Observations of all rows, [N, D], and the infos of the rows that started, as `step` returns them.

        Raises:
            SettingError: An id outside the split, an unknown option, or a mask or seeds of the wrong length.
        """
        options = validate_options(options, (*RESET_OPTIONS, "reset_mask"))
        rows = self._masked_rows(options["reset_mask"]) if "reset_mask" in options else self._rows
        for row, row_seed in zip(rows, self._row_seeds(seed)[rows], strict=True):
            if row_seed is not None or self._batch.needs_start(row):
                self._batch.draw_start(row, seeded_generator(row_seed))
        if "problem_id" in options:
            ids = np.asarray(options["problem_id"])
            self._batch.set_next(rows, ids[rows] if ids.shape == (self.num_envs,) else ids)
        self._batch.start(rows)
        self._finished[rows] = False
        return self._batch.observe(), self._infos(self._no_terms(), rows)

    def _row_seeds(self, seed: int | Sequence[int | None] | None) -> NDArray[np.object_]:
        seeds = np.full(self.num_envs, None, dtype=object)
        if isinstance(seed, (int, np.integer)):
            seeds[:] = [int(seed) + row for row in range(self.num_envs)]
        elif seed is not None:
            if not isinstance(seed, (Sequence, np.ndarray)) or isinstance(seed, str):
                raise SettingError(f"a seed is an integer, or one integer for each environment; {seed!r} was given.")
            if len(seed) != self.num_envs:
                raise SettingError(f"{len(seed)} seeds were given for {self.num_envs} environments; give one for each.")
            seeds[:] = seed
        return seeds

    def _masked_rows(self, mask: object) -> NDArray[np.int64]:
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise SettingError(f"reset_mask is a bool array of shape ({self.num_envs},), {mask!r} was given.")
        if not mask.any():
            raise SettingError("reset_mask must choose at least one environment.")
        return np.flatnonzero(mask)

    def step(  # type: ignore[override]  # Gymnasium types rewards like the flags
        self, actions: NDArray[np.int64]
    ) -> tuple[Observations, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Say one token in every row.

        Args:
            actions: Tokens, int [N].

        Returns:
            Observations [N, D], rewards float64 [N], terminated bool [N], truncated bool [N] (all False), and infos as
            arrays [N] with a mask "_name" each.

        Raises:
            gymnasium.error.InvalidAction: Actions that are not one integer per row, or outside the vocabulary.
            gymnasium.error.ResetNeeded: Before the first reset; without autoreset also after the end of an episode.
        """
        if self._finished.any():
            return self._step_after_end(actions)
        transition = self._batch.step(self._batch.validate_actions(actions))
        rewards = self._batch.dynamics.rewards(transition)
        done = transition.done
        terms = transition.adequacy, transition.fluency_penalty
        final_infos: dict[str, Any] = {}
        if done.any():
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                ended = np.flatnonzero(done)
                final_infos = self._final_infos((terms[0].copy(), terms[1].copy()), ended)
                self._batch.start(ended)
                terms[0][ended] = terms[1][ended] = 0.0
            else:
                self._finished = done.copy()
        return self._batch.observe(), rewards, done, np.zeros_like(done), self._infos(terms) | final_infos

    def draw_ahead(self) -> None:
        """Let a thread draw the problems that come next, so that the next start of all rows does not take time."""
        self._batch.draw_ahead()

    def close_extras(self, **_: Any) -> None:
        """End the thread, if there is one."""
        self._batch.close()

    def end_episodes(
        self, tokens: NDArray[np.int64], adequacy: FloatArray, fluency_penalty: FloatArray
    ) -> tuple[Observations, dict[str, Any]]:
        """End the episodes of all rows, which were played elsewhere by the rules of `dynamics`, and start the next.

        Args:
            tokens: Tokens of the whole episodes, int64 [N, L].
            adequacy: Sums over the episodes, [N].
            fluency_penalty: Sums over the episodes, [N].

        Returns:
            Observations [N, D] of the next episodes, and `final_obs` and `final_info` as `step` returns them, with 0
            for the terms of the last step.
        """
        self._batch.end(tokens, adequacy, fluency_penalty)
        infos = self._final_infos(self._no_terms(), self._rows)
        self._batch.start(self._rows)
        return self._batch.observe(), infos

    def _step_after_end(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observations, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Step the rows in progress, and start the next problem in the rows whose episode is over."""
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded("episodes are over; call reset(options={'reset_mask': …}) before the next step().")
        active = np.flatnonzero(~self._finished)
        tokens = self._batch.validate_actions(np.where(self._finished, 0, np.asarray(actions)))
        self._batch.start(np.flatnonzero(self._finished))
        rewards = np.zeros(self.num_envs)
        done = np.zeros(self.num_envs, dtype=np.bool_)
        terms = self._no_terms()
        if len(active):
            transition = self._batch.step(tokens[active], active)
            terms[0][active], terms[1][active] = transition.adequacy, transition.fluency_penalty
            rewards[active] = self._batch.dynamics.rewards(transition)
            done[active] = transition.done
        self._finished = done.copy()
        return self._batch.observe(), rewards, done, np.zeros_like(done), self._infos(terms)

    def _no_terms(self) -> Terms:
        return np.zeros(self.num_envs), np.zeros(self.num_envs)

    def _infos(self, terms: Terms, rows: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Return the infos of all rows, or of these, [n], as arrays [N] by name with a mask "_name" each.

        Args:
            terms: Adequacy and fluency penalty of the step, new arrays [N].
            rows: The rows to report; the others get zeros.
        """
        mask = self._every_row
        if rows is not None and len(rows) < self.num_envs:
            mask = np.zeros(self.num_envs, dtype=np.bool_)
            mask[rows] = True
        infos: dict[str, Any] = {}
        columns = {"adequacy": terms[0], "fluency_penalty": terms[1]} | self._batch.episode_infos()
        for name, column in columns.items():
            if mask is not self._every_row:
                column[~mask] = None if column.dtype == object else 0
            infos[name], infos[f"_{name}"] = column, mask.copy()
        return infos

    def _final_infos(self, terms: Terms, ended: NDArray[np.int64]) -> dict[str, Any]:
        """Return the last observations and infos of the rows that ended, [n], before they start their next problem."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row, observation in zip(ended.tolist(), self._batch.observe()[ended], strict=True):
            final_obs[row] = observation
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[ended] = True
        return {
            "final_obs": final_obs,
            "_final_obs": mask,
            "final_info": self._infos(terms, ended),
            "_final_info": mask.copy(),
        }

    def set_difficulty(self, noise: float, message_vocab: int | None) -> None:
        """Change the noise and message vocabulary of the problems, from the next start of all rows together.

        Problem ids, split and all other constants stay. For curricula; SB3's vector environments call it through
        `env_method("set_difficulty", …)`.

        Args:
            noise: σ, jitter of the meanings relative to their length.
            message_vocab: Number of tokens that messages use; None for the whole vocabulary.

        Raises:
            SettingError: A value that is not allowed.
        """
        self._batch.set_difficulty(noise, message_vocab)

    def action_masks(self) -> BoolArray:
        """Return the legal tokens, bool [N, V]: those within the mask budget (nats), at least one per row.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return self._batch.action_masks()

    def render(self) -> tuple[str | NDArray[np.uint8], ...] | None:
        """Draw the episodes so far, one entry per row: text ("ansi") or uint8 pixels [H, W, 3] ("rgb_array").

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        if self.render_mode is None:
            return None
        if self.render_mode == "ansi":
            return tuple(draw_text(self._batch, row) for row in range(self.num_envs))
        from token_env.drawing.picture import draw_pixels  # imported late: Pillow is needed for pictures only

        return tuple(draw_pixels(self._batch, row) for row in range(self.num_envs))
