"""Save a training while it runs, between two rollouts, and find its best policy."""

import time
from collections.abc import Callable
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from agents.machine.signals import Stopped, Stopper
from agents.runs.checkpoints import Checkpoint, keep_last, write_checkpoint
from agents.settings.schema import CheckpointSettings
from agents.training.validation import Validation, best_of


class Saver(BaseCallback):
    """Saves when the next rollout would leave more unsaved than a crash may cost; put it behind what records.

    Whether it saves or validates leaves no trace in the training.

    Args:
        run: directory of the run.
        chosen: how often, and how much is kept.
        episodes: of the whole run.
        length: steps of an episode.
        stopper: tells when the training is to stop.
        read: the state of the training now.
        validate: the mean return of the policy on validation problems.
        validations: what earlier processes of this training found.

    Attributes:
        validations: so far.

    Raises:
        Stopped: the training was asked to stop, and is saved.
        TrainingError: the weights are not finite.
        OSError: the state cannot be written; earlier ones are unharmed.
    """

    def __init__(
        self,
        run: Path,
        chosen: CheckpointSettings,
        episodes: int,
        length: int,
        stopper: Stopper,
        read: Callable[[], Checkpoint],
        validate: Callable[[], float],
        validations: list[Validation],
    ) -> None:
        super().__init__()
        self.validations = validations
        self._run, self._chosen, self._all, self._length = run, chosen, episodes, length
        self._stopper, self._read, self._validate = stopper, read, validate
        self._saved_at = self._boundary = 0.0  # in seconds of `time.monotonic`
        self._saved = self._looked = 0  # episodes that had ended then

    def _on_training_start(self) -> None:
        self._saved_at = self._boundary = time.monotonic()
        self._saved = self._looked = self._played()

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
        round_seconds, self._boundary = now - self._boundary, now
        validated = self._validate_if_due()
        due = now - self._saved_at + round_seconds > self._chosen.seconds
        due |= self._chosen.episodes is not None and self._played() - self._saved >= self._chosen.episodes
        if self._played() > self._saved and (last or validated or due or self._stopper.asked):
            self._save()
        if self._stopper.asked:
            raise Stopped

    def _validate_if_due(self) -> bool:
        """Validate if another equal part of the run has been played."""
        before, self._looked = self._looked, self._played()
        parts = self._chosen.validations
        if parts * before // self._all == parts * self._looked // self._all:
            return False
        self.validations.append((self._looked, self._validate()))
        return True

    def _save(self) -> None:
        write_checkpoint(self._run, self._read())
        self._saved, self._saved_at = self._played(), time.monotonic()
        keep_last(self._run, self._chosen.keep, best_of(self.validations))
