"""Raise the difficulty of a training's problems as the returns rise, from a small message vocabulary without noise.

Episodes begin at level 0 and the last level is the task itself. The level rises by one when the mean return of the last
`window` episodes at the present level reaches `threshold` · α L; α L is what saying the message itself, without
jitter, would earn in adequacy, and the optimum is 0.7 to 1.0 of it at every level. Whatever the returns, the level
never falls behind a steady pace that reaches the task at `full_by` of the run's episodes, so that the last part of
every run is played at full difficulty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from agents.settings.schema import Settings
from token_env.errors import SettingError
from token_env.languages.language import MIN_VOCAB

FIRST_SHARE = 0.1  # of the task's message vocabulary, at level 0 where the settings name none


class Level(NamedTuple):
    """What the problems of a level are like; fields of a `Task`."""

    noise: float
    message_vocab: int


class CurriculumState(NamedTuple):
    """How far a curriculum is, in plain values. Episodes begin before those that ended are judged, hence two levels."""

    playing: int = 0  # level of the episodes that are being played
    coming: int = 0  # level of those that begin when these end
    recent: tuple[float, ...] = ()  # returns of the last episodes at the level `coming`, at most a window
    full_from: int | None = None  # episodes that had ended when the last level was first played


class Schedule:
    """Which level comes next: a pure function of the state, of what episodes returned and of how many there were.

    Args:
        settings: of the run; the last level is its task.

    Raises:
        SettingError: a first level that is harder than the task.
    """

    def __init__(self, settings: Settings) -> None:
        chosen, task = settings.curriculum, settings.env
        self.levels = make_levels(settings)
        self.goal = chosen.threshold * task.adequacy_scale * task.max_steps  # return at which the level rises
        self._window = chosen.window
        self._free = chosen.full_by * settings.episodes  # episodes that may be easier than the task
        self._last = len(self.levels) - 1

    def begin(self, count: int) -> CurriculumState:
        """The state as the first `count` episodes begin side by side."""
        playing = self._pace(0, count)
        return CurriculumState(
            playing, max(playing, self._pace(count, count)), (), 0 if playing == self._last else None
        )

    def advance(self, state: CurriculumState, returns: Sequence[float], played: int) -> CurriculumState:
        """The state after these episodes ended together, and as many began.

        Args:
            state: before.
            returns: of the episodes that ended.
            played: episodes that have ended so far, these included.
        """
        recent = (*state.recent, *returns)[-self._window :] if state.playing == state.coming else ()
        risen = len(recent) == self._window and float(np.mean(recent)) >= self.goal
        coming = min(self._last, state.coming + risen)
        coming = max(coming, self._pace(played + len(returns), len(returns)))
        full_from = played if state.full_from is None and state.coming == self._last else state.full_from
        return CurriculumState(state.coming, coming, recent if coming == state.coming else (), full_from)

    def _pace(self, played: int, count: int) -> int:
        """The least level of `count` episodes that begin when so many have been played."""
        return self._last if played + count > self._free else int(self._last * played / self._free)


def make_levels(settings: Settings) -> list[Level]:
    """The levels from the first to the task itself: noise in equal steps, the message vocabulary in equal ratios.

    Raises:
        SettingError: a first level that is harder than the task.
    """
    chosen, task = settings.curriculum, settings.env
    whole = task.message_vocab or task.vocab_size
    first = max(MIN_VOCAB, round(FIRST_SHARE * whole)) if chosen.message_vocab is None else chosen.message_vocab
    for name, value, most in (("message_vocab", first, whole), ("noise", chosen.noise, task.noise)):
        if value > most:
            raise SettingError(
                f"curriculum.{name}={value:g} is harder than the task, whose {name} is {most:g}; "
                f"type --set curriculum.{name}={most:g}, or less."
            )
    shares = [step / (chosen.levels - 1) for step in range(chosen.levels)]
    return [
        Level((1 - share) * chosen.noise + share * task.noise, round(first ** (1 - share) * whole**share))
        for share in shares
    ]


class Curriculum(BaseCallback):
    """Lets a training follow a `Schedule`; make it before the training's first reset, and put it before `Recorder`.

    Args:
        schedule: which level comes next.
        env: the batch that is played.
        state: to go on from; from the beginning if None.

    Attributes:
        state: how far it is.
    """

    def __init__(self, schedule: Schedule, env: VecEnv, state: CurriculumState | None = None) -> None:
        super().__init__()
        self._schedule, self._env = schedule, env
        self.state = schedule.begin(env.num_envs) if state is None else state
        self._set(self.state.playing)

    def _on_training_start(self) -> None:
        self._set(self.state.coming)

    def _on_step(self) -> bool:
        if self.locals["dones"].all():
            returns = [info["episode"]["r"] for info in self.locals["infos"]]
            self._log()
            played = self.num_timesteps // self.locals["infos"][0]["episode"]["l"]
            self.state = self._schedule.advance(self.state, returns, played)
            self._set(self.state.coming)
        return True

    def _set(self, level: int) -> None:
        self._env.env_method("set_difficulty", *self._schedule.levels[level])

    def _log(self) -> None:
        """Tell the difficulty of the episodes that have ended."""
        level = self._schedule.levels[self.state.playing]
        self.logger.record("curriculum/level", self.state.playing)
        self.logger.record("curriculum/noise", level.noise)
        self.logger.record("curriculum/message_vocab", level.message_vocab)
