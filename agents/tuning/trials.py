"""Manage the trials of a study: claim each for one process, requeue the trials of lost processes, finish each once.

All trials are enqueued before any of them runs, and workers add none, so their number is exact: any number of workers
on any number of hosts runs trials 0 to N − 1. On every storage, Optuna lets only one process turn a waiting trial into
a running one. A trial waits again after its process was killed. If two processes do run the same trial (because a host
was unreachable for minutes), both do the same work with the same seeds, and the first one to finish sets the result.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.machine.processes import Process, this_process

MAX_ATTEMPTS = 3  # a trial fails after this number of killed attempts in a row without progress
HEARTBEAT_SECONDS = 60.0  # interval between two heartbeats of a trial
HEARTBEAT_TIMEOUT_SECONDS = 300.0  # a trial of another host is lost after this time without a change
CLAIM_GRACE_SECONDS = 5.0  # a trial without a living process is lost after this time; covers the moment of claiming
# User attributes of a trial: its owner, why it failed, and the score of each of its finished trainings.
WORKER, ERROR, SCORES = "worker", "error", "scores"
# User attributes of a trial that trains a candidate again: the candidate's label and settings, the seed, whether to
# play test problems afterwards, and the test score.
LABEL, SETTINGS, SEED, TESTED, TEST_SCORE = "label", "settings", "seed", "tested", "test_score"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}

Show = Callable[[Sequence[FrozenTrial], Sequence[str]], None]  # takes the trials and new messages


class TrialOwner(NamedTuple):
    """The process that runs a trial, stored as the trial's user attribute."""

    process: Process
    attempt: int  # number of this attempt since the trial's last progress, from 1
    beat: int  # number of heartbeats so far
    step: int = 0  # last step that the trial had reported when this attempt began


class Trials:
    """The trials of one study in a storage.

    Args:
        storage: Opened storage.
        study: Name of the study.
    """

    def __init__(self, storage: BaseStorage, study: str) -> None:
        self.storage, self.study = storage, study
        self.study_id = storage.get_study_id_from_name(study)
        # By number of a running trial: its last progress, and the monotonic time when that changed.
        self._last_changes: dict[int, tuple[Any, float]] = {}

    def all(self, total: int | None = None) -> list[FrozenTrial]:
        """Return the first `total` trials, or all trials if None."""
        return self.storage.get_all_trials(self.study_id, deepcopy=False)[:total]

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Append these trials to the study."""
        for trial in trials:
            self.storage.create_new_trial(self.study_id, trial)

    def claim(self, total: int | None = None) -> int | None:
        """Claim the first waiting trial for this process and return its number, or None if no trial waits."""
        for trial in self.all(total):
            if trial.state == TrialState.WAITING and self._set_state(trial, TrialState.RUNNING):
                attempt = attempts_without_progress(trial) + 1
                owner = TrialOwner(this_process(), attempt, beat=0, step=trial.last_step or 0)
                self._write_owner(trial.number, owner)
                return trial.number
        return None

    @contextmanager
    def heartbeat(self, number: int) -> Iterator[None]:
        """Write heartbeats of a trial from a background thread until the context exits."""
        stop = threading.Event()

        def beat() -> None:
            owner = owner_of(self.storage.get_trial(self.id_of(number)))
            while owner and not stop.wait(HEARTBEAT_SECONDS):
                owner = owner._replace(beat=owner.beat + 1)
                with suppress(Exception):  # the next heartbeat may reach the storage again
                    self._write_owner(number, owner)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def requeue_lost(self, total: int | None = None) -> list[str]:
        """Requeue trials of lost processes, or fail them (see `MAX_ATTEMPTS`), and return a message for each."""
        return [self._requeue(trial) for trial in self.all(total) if self._is_lost(trial)]

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if trial.state != TrialState.RUNNING:
            self._last_changes.pop(trial.number, None)
            return False
        owner, now = owner_of(trial), time.monotonic()
        progress = trial.datetime_start, owner, trial.last_step
        if self._last_changes.get(trial.number, (None, now))[0] != progress:
            self._last_changes[trial.number] = progress, now
        unchanged_seconds = now - self._last_changes[trial.number][1]
        gone = owner is None or (owner.process.is_local and not owner.process.is_running)
        return unchanged_seconds > (CLAIM_GRACE_SECONDS if gone else HEARTBEAT_TIMEOUT_SECONDS)

    def _requeue(self, trial: FrozenTrial) -> str:
        owner = owner_of(trial)
        self._last_changes.pop(trial.number, None)
        if attempts_without_progress(trial) >= MAX_ATTEMPTS:
            reason = f"its process was killed {MAX_ATTEMPTS} times in a row without a new evaluation"
            self.fail(trial.number, reason)
            return f"trial {trial.number} failed: {reason}"
        self._set_state(trial, TrialState.WAITING)
        return f"trial {trial.number}: its process{' was killed' if owner else ' is gone'}; it waits again"

    def requeue_trial_of(self, pid: int) -> None:
        """Requeue the trial of a process of this host that was stopped on purpose, without counting the attempt."""
        for trial in self.all():
            owner = owner_of(trial)
            if trial.state != TrialState.RUNNING or owner is None:
                continue
            if owner.process.is_local and owner.process.pid == pid:
                with suppress(UpdateFinishedTrialError):
                    self._write_owner(trial.number, owner._replace(attempt=owner.attempt - 1))
                self._set_state(trial, TrialState.WAITING)

    def end(self, number: int, state: TrialState, value: float | None = None) -> None:
        """Finish a trial with this state and value, unless another process has finished it."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(self.id_of(number), state, None if value is None else [value])

    def fail(self, number: int, reason: str) -> None:
        """Finish a trial as failed with this reason, unless another process has finished it."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(self.id_of(number), ERROR, reason)
            self.end(number, TrialState.FAIL)

    def id_of(self, number: int) -> int:
        """Return the storage's id of a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def _set_state(self, trial: FrozenTrial, state: TrialState) -> bool:
        try:
            return self.storage.set_trial_state_values(self.id_of(trial.number), state)
        except UpdateFinishedTrialError:
            return False

    def _write_owner(self, number: int, owner: TrialOwner) -> None:
        self.storage.set_trial_user_attr(self.id_of(number), WORKER, owner._asdict() | {"process": owner.process})


def owner_of(trial: FrozenTrial) -> TrialOwner | None:
    """Return the process that runs a trial, or ran it last; None if no process has claimed it."""
    attribute = trial.user_attrs.get(WORKER)
    return TrialOwner(**attribute | {"process": Process(*attribute["process"])}) if attribute else None


def attempts_without_progress(trial: FrozenTrial) -> int:
    """Return the number of attempts, with the last one, since the trial last reported a new step."""
    owner = owner_of(trial)
    return owner.attempt if owner and (trial.last_step or 0) <= owner.step else 0


def waiting_trial(parameters: dict[str, Any] | None = None, attributes: dict[str, Any] | None = None) -> FrozenTrial:
    """Build a waiting trial with fixed parameters, like those of `Study.enqueue_trial`.

    Args:
        parameters: Fixed values by parameter; the sampler suggests the others.
        attributes: User attributes of the trial.
    """
    fixed = {"fixed_params": parameters or {}}
    return optuna.create_trial(state=TrialState.WAITING, system_attrs=fixed, user_attrs=attributes or {})


def count_finished(trials: Sequence[FrozenTrial]) -> int:
    """Return the number of finished trials: complete, pruned or failed."""
    return sum(trial.state.is_finished() for trial in trials)


def error_messages(trials: Iterable[FrozenTrial]) -> list[str]:
    """Return the recorded error messages of failed trials."""
    return [trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs]
