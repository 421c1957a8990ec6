"""Write checkpoints and validate the policy between rollouts."""

import time
from collections.abc import Callable
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from agents.machine.signals import Stopped, Stopper
from agents.runs.checkpoints import Checkpoint, prune_checkpoints, write_checkpoint
from agents.settings.schema import CheckpointSettings
from agents.training.validation import Validation, best_of


class Saver(BaseCallback):
    """Write checkpoints when due, validate at equal intervals, and stop the training after a signal.

    A checkpoint is due when the next rollout would exceed the interval in the settings. Neither checkpoints nor
    validations affect the training. List this callback after `Recorder`.

    Args:
        run: Directory of the run.
        section: Checkpoint settings.
        episodes: Number of episodes of the whole run.
        length: Number of steps per episode.
        stopper: Receiver of the signals.
        capture: Returns a checkpoint of the current training state.
        validate: Returns the mean return of the policy on validation problems.
        validations: Validations before this process; extended in place.

    Attributes:
        validations: All validations of the run so far.

    Raises:
        Stopped: A signal arrived, and a checkpoint has been written.
        OSError: The checkpoint cannot be written; earlier checkpoints are intact.
    """

    def __init__(
        self,
        run: Path,
        section: CheckpointSettings,
        episodes: int,
        length: int,
        stopper: Stopper,
        capture: Callable[[], Checkpoint],
        validate: Callable[[], float],
        validations: list[Validation],
    ) -> None:
        super().__init__()
        self.validations = validations
        self._run, self._section, self._episodes, self._length = run, section, episodes, length
        self._stopper, self._capture, self._validate = stopper, capture, validate
        # Times of the last checkpoint and the last rollout boundary, in seconds of `time.monotonic`.
        self._checkpoint_time = self._boundary_time = 0.0
        # Numbers of episodes played at the last checkpoint and when a validation was last considered.
        self._checkpoint_episodes = self._validation_episodes = 0

    def _on_training_start(self) -> None:
        self._checkpoint_time = self._boundary_time = time.monotonic()
        self._checkpoint_episodes = self._validation_episodes = self._played()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._between_rollouts(last=False)

    def _on_training_end(self) -> None:
        self._between_rollouts(last=True)

    def _played(self) -> int:
        return self.num_timesteps // self._length

    def _between_rollouts(self, last: bool) -> None:
        now = time.monotonic()
        round_seconds, self._boundary_time = now - self._boundary_time, now
        validated = self._validate_if_due()
        due = now - self._checkpoint_time + round_seconds > self._section.seconds
        unsaved = self._played() - self._checkpoint_episodes
        due |= self._section.episodes is not None and unsaved >= self._section.episodes
        if unsaved > 0 and (last or validated or due or self._stopper.signal_number):
            self._save()
        if self._stopper.signal_number:
            raise Stopped

    def _validate_if_due(self) -> bool:
        """Validate at equal intervals of the run; return whether a validation took place."""
        before, now = self._validation_episodes, self._played()
        self._validation_episodes = now
        count = self._section.validations
        if count * before // self._episodes == count * now // self._episodes:
            return False
        self.validations.append((now, self._validate()))
        return True

    def _save(self) -> None:
        write_checkpoint(self._run, self._capture())
        self._checkpoint_episodes, self._checkpoint_time = self._played(), time.monotonic()
        prune_checkpoints(self._run, self._section.keep, best_of(self.validations))
