"""Raise the difficulty of a training as its returns rise: more message vocabulary and more noise.

Training starts at level 0; the last level is the full task. The level rises by one when the mean return of the last
`window` episodes at the current level reaches `threshold` · α L. α L is the adequacy of the message itself without
noise; the optimum is 0.7 to 1.0 times α L at every level. A minimum level also rises linearly and reaches the full task
after the fraction `full_by` of the run's episodes, so the last part of every run has full difficulty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from agents.settings.schema import Settings
from token_env.errors import SettingError
from token_env.languages.language import MIN_VOCAB

FIRST_SHARE = 0.1  # default message vocabulary of level 0, as a fraction of the task's


class Level(NamedTuple):
    """The difficulty of one level, as fields of a `Task`."""

    noise: float
    message_vocab: int


class CurriculumState(NamedTuple):
    """The progress of a curriculum.

    There are two levels because the next episodes start before the returns of the last ones are evaluated.
    """

    playing: int = 0  # level of the current episodes
    coming: int = 0  # level of the next episodes
    recent: tuple[float, ...] = ()  # last returns at the level `coming`, at most `window`
    full_from: int | None = None  # number of episodes before the first one at the last level


class Schedule:
    """Choose the next level from the curriculum state, the returns and the number of episodes. It has no state itself.

    Args:
        settings: Settings of the run; the last level is its task.

    Raises:
        SettingError: The first level is harder than the task.
    """

    def __init__(self, settings: Settings) -> None:
        section, task = settings.curriculum, settings.env
        self.levels = make_levels(settings)
        self.goal = section.threshold * task.adequacy_scale * task.max_steps  # mean return at which the level rises
        self._window = section.window
        self._easy_episodes = section.full_by * settings.episodes  # that may be below full difficulty
        self._last = len(self.levels) - 1

    def begin(self, count: int) -> CurriculumState:
        """Return the state when the first `count` parallel episodes start."""
        playing = self._min_level(0, count)
        coming = max(playing, self._min_level(count, count))
        return CurriculumState(playing, coming, (), 0 if playing == self._last else None)

    def advance(self, state: CurriculumState, returns: Sequence[float], played: int) -> CurriculumState:
        """Return the state after parallel episodes ended and the same number started.

        Args:
            state: State before the episodes ended.
            returns: Returns of the episodes that ended.
            played: Number of episodes that have ended so far, including these.
        """
        recent = (*state.recent, *returns)[-self._window :] if state.playing == state.coming else ()
        rises = len(recent) == self._window and float(np.mean(recent)) >= self.goal
        coming = min(self._last, state.coming + rises)
        coming = max(coming, self._min_level(played + len(returns), len(returns)))
        full_from = played if state.full_from is None and state.coming == self._last else state.full_from
        return CurriculumState(state.coming, coming, recent if coming == state.coming else (), full_from)

    def _min_level(self, played: int, count: int) -> int:
        """Return the minimum level of `count` episodes that start after `played` episodes."""
        easy = self._easy_episodes
        return self._last if played + count > easy else int(self._last * played / easy)


def make_levels(settings: Settings) -> list[Level]:
    """Return all levels, the full task last. Noise rises in equal steps, the message vocabulary in equal ratios.

    Raises:
        SettingError: The first level is harder than the task.
    """
    section, task = settings.curriculum, settings.env
    last = task.message_vocab or task.vocab_size
    first = max(MIN_VOCAB, round(FIRST_SHARE * last)) if section.message_vocab is None else section.message_vocab
    for name, value, limit in (("message_vocab", first, last), ("noise", section.noise, task.noise)):
        if value > limit:
            raise SettingError(
                f"curriculum.{name}={value:g} is harder than the task, whose {name} is {limit:g}; "
                f"type --set curriculum.{name}={limit:g}, or less."
            )
    shares = [step / (section.levels - 1) for step in range(section.levels)]
    return [
        Level((1 - share) * section.noise + share * task.noise, round(first ** (1 - share) * last**share))
        for share in shares
    ]


class Curriculum(BaseCallback):
    """Set the difficulty of the environments according to a `Schedule`.

    Create it before the first reset of the training, and list it before `Recorder`.

    Args:
        schedule: Schedule that chooses the levels.
        env: Environments of the training.
        state: State to continue from; None starts at the first level.

    Attributes:
        state: Current state of the curriculum.
    """

    def __init__(self, schedule: Schedule, env: VecEnv, state: CurriculumState | None = None) -> None:
        super().__init__()
        self._schedule, self._env = schedule, env
        self.state = schedule.begin(env.num_envs) if state is None else state
        self._set_level(self.state.playing)

    def _on_training_start(self) -> None:
        self._set_level(self.state.coming)

    def _on_step(self) -> bool:
        if self.locals["dones"].all():
            returns = [info["episode"]["return"] for info in self.locals["infos"]]
            self._log()
            played = self.num_timesteps // self.locals["infos"][0]["episode"]["l"]
            self.state = self._schedule.advance(self.state, returns, played)
            self._set_level(self.state.coming)
        return True

    def _set_level(self, level: int) -> None:
        self._env.env_method("set_difficulty", *self._schedule.levels[level])

    def _log(self) -> None:
        """Log the difficulty of the episodes that have just ended."""
        level = self._schedule.levels[self.state.playing]
        self.logger.record("curriculum/level", self.state.playing)
        self.logger.record("curriculum/noise", level.noise)
        self.logger.record("curriculum/message_vocab", level.message_vocab)
