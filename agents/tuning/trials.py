"""Keep the trials of a study: each is claimed by one process, given back when that is gone, and ended once.

All trials of a study are waiting from the beginning, and nobody adds one while running them, so that their number is
exact whatever happens: trials 0 to N − 1 are run, by any number of workers on any number of hosts. Optuna lets one
process turn a waiting trial into a running one, on every storage. A trial whose process was killed waits again. Should
two processes ever run the same one (a host that was silent for minutes and comes back), both do the same work with the
same seeds, and the first ends it.
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

MOST_ATTEMPTS = 3  # a trial is retried twice
BEAT_SECONDS = 60.0  # between two signs of life of a trial
SILENT_SECONDS = 300.0  # without one, after which a trial of another host counts as lost
SETTLE_SECONDS = 5.0  # that a trial may be running without a living process, for one that has just claimed it
# User attributes of a trial: who runs it, why it failed, and the score of each of its finished trainings.
WORKER, ERROR, SCORES = "worker", "error", "scores"
# User attributes of a trial that trains given settings again: whose they are, the settings, the seed, whether test
# problems are played afterwards, and the score on them.
LABEL, SETTINGS, SEED, TESTED, TEST_SCORE = "label", "settings", "seed", "tested", "test_score"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}

Show = Callable[[Sequence[FrozenTrial], Sequence[str]], None]  # takes the trials, and messages about them


class TrialOwner(NamedTuple):
    """Who runs a trial, as its attribute tells."""

    process: Process
    attempt: int  # which one this is, from 1
    beat: int  # signs of life so far


class Trials:
    """The trials of one study in a storage."""

    def __init__(self, storage: BaseStorage, study: str) -> None:
        self.storage, self.study = storage, study
        self.study_id = storage.get_study_id_from_name(study)
        self._seen: dict[int, tuple[Any, float]] = {}  # of running trials: what was last seen of them, and since when

    def all(self, total: int | None = None) -> list[FrozenTrial]:
        """The first so many trials, all if None."""
        return self.storage.get_all_trials(self.study_id, deepcopy=False)[:total]

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Put these behind the others."""
        for trial in trials:
            self.storage.create_new_trial(self.study_id, trial)

    def claim(self, total: int | None = None) -> int | None:
        """Take the first of these trials that waits, for this process; its number, or None if none waits."""
        for trial in self.all(total):
            if trial.state == TrialState.WAITING and self._become(trial, TrialState.RUNNING):
                before = owner_of(trial)
                self._tell(trial.number, TrialOwner(this_process(), before.attempt + 1 if before else 1, 0))
                return trial.number
        return None

    @contextmanager
    def beating(self, number: int) -> Iterator[None]:
        """Give signs of life of a trial meanwhile."""
        over = threading.Event()

        def beat() -> None:
            worker = owner_of(self.storage.get_trial(self.id_of(number)))
            while worker and not over.wait(BEAT_SECONDS):
                worker = worker._replace(beat=worker.beat + 1)
                with suppress(Exception):  # the next one may reach the storage again
                    self._tell(number, worker)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def give_back_lost(self, total: int | None = None) -> list[str]:
        """Let trials wait again whose process is gone, or end them as failed after three attempts; what was done."""
        return [self._give_back(trial) for trial in self.all(total) if self._is_lost(trial)]

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if trial.state != TrialState.RUNNING:
            self._seen.pop(trial.number, None)
            return False
        worker, now = owner_of(trial), time.monotonic()
        seen = trial.datetime_start, worker, trial.last_step
        if self._seen.get(trial.number, (None, now))[0] != seen:
            self._seen[trial.number] = seen, now
        silent = now - self._seen[trial.number][1]
        gone = worker is None or (worker.process.is_here and not worker.process.runs)
        return silent > (SETTLE_SECONDS if gone else SILENT_SECONDS)

    def _give_back(self, trial: FrozenTrial) -> str:
        worker = owner_of(trial)
        self._seen.pop(trial.number, None)
        if worker and worker.attempt >= MOST_ATTEMPTS:
            reason = f"its process was killed, {worker.attempt} times"
            self.fail(trial.number, reason)
            return f"trial {trial.number} failed: {reason}"
        self._become(trial, TrialState.WAITING)
        return f"trial {trial.number}: its process{' was killed' if worker else ' is gone'}; it waits again"

    def hand_back(self, pid: int) -> None:
        """Let the trial of a process of this host that was ended on purpose wait again, as if it had not begun."""
        for trial in self.all():
            worker = owner_of(trial)
            ours = worker and worker.process.is_here and worker.process.pid == pid
            if trial.state == TrialState.RUNNING and worker and ours:
                with suppress(UpdateFinishedTrialError):
                    self._tell(trial.number, worker._replace(attempt=worker.attempt - 1))
                self._become(trial, TrialState.WAITING)

    def end(self, number: int, state: TrialState, value: float | None = None) -> None:
        """End a trial, unless another process has."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(self.id_of(number), state, None if value is None else [value])

    def fail(self, number: int, reason: str) -> None:
        """End a trial as failed, unless another process has ended it."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(self.id_of(number), ERROR, reason)
            self.end(number, TrialState.FAIL)

    def id_of(self, number: int) -> int:
        """The storage's own number of a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def _become(self, trial: FrozenTrial, state: TrialState) -> bool:
        try:
            return self.storage.set_trial_state_values(self.id_of(trial.number), state)
        except UpdateFinishedTrialError:
            return False

    def _tell(self, number: int, worker: TrialOwner) -> None:
        self.storage.set_trial_user_attr(self.id_of(number), WORKER, worker._asdict() | {"process": worker.process})


def owner_of(trial: FrozenTrial) -> TrialOwner | None:
    """Who runs a trial, or ran it last; None if nobody has yet."""
    told = trial.user_attrs.get(WORKER)
    return TrialOwner(**told | {"process": Process(*told["process"])}) if told else None


def waiting_trial(parameters: dict[str, Any] | None = None, attributes: dict[str, Any] | None = None) -> FrozenTrial:
    """A trial to be run, with these parameters fixed, as `Study.enqueue_trial` adds it."""
    fixed = {"fixed_params": parameters or {}}
    return optuna.create_trial(state=TrialState.WAITING, system_attrs=fixed, user_attrs=attributes or {})


def ended(trials: Sequence[FrozenTrial]) -> int:
    """How many of them have ended, well or not."""
    return sum(trial.state.is_finished() for trial in trials)


def errors_of(trials: Iterable[FrozenTrial]) -> list[str]:
    """Why trials failed, for each that says so."""
    return [trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs]
