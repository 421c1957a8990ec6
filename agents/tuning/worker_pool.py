"""Run the trials of a study in worker processes, one process per trial, until all trials are finished."""

import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType

from optuna.trial import FrozenTrial, TrialState

from agents.machine.processes import one_thread_each
from agents.tuning.trial_worker import STOPPED_EXIT_CODE, run_trial
from agents.tuning.trials import Show, Trials, count_finished, owner_of
from token_env.errors import SettingError

POLL_SECONDS = 0.5  # interval between two reads of the trials
JOIN_SECONDS = 10.0  # time between SIGTERM and SIGKILL of a worker process
MAX_CRASHES = 3  # the study stops after as many crashes of worker processes in a row
PRELOADED = [run_trial.__module__, "torch._dynamo"]  # the first optimizer imports torch._dynamo, which takes a second


class WorkerPool:
    """Context manager that runs trials in worker processes; on exit it stops them and requeues their trials.

    On Linux, workers are forked from a server that has done all imports, in a hundredth of the time that the imports
    take; elsewhere they are spawned.

    Args:
        url: Complete URL of the storage.
        workers: Number of concurrent worker processes, each on one thread.
    """

    def __init__(self, url: str, workers: int) -> None:
        self._url, self._workers = url, workers
        self._context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
        if sys.platform == "linux":
            self._context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(PRELOADED)
        self._processes: list[BaseProcess] = []
        self._trials: Trials | None = None
        self._crashes = 0

    def __enter__(self) -> "WorkerPool":
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def run_trials(self, trials: Trials, total: int | None, show: Show) -> None:
        """Run trials until all of them are finished, by these workers or by other hosts.

        Args:
            trials: Trials of the study.
            total: Number of trials to run, counted from trial 0; None for all.
            show: Function that shows the trials and new messages.

        Raises:
            SettingError: Worker processes crash `MAX_CRASHES` times in a row.
        """
        self._trials = trials
        while True:
            messages = trials.requeue_lost(total)
            snapshot = trials.all(total)
            show(snapshot, messages)
            if count_finished(snapshot) == len(snapshot):
                self._stop()
                return
            self._start(trials, total, snapshot)
            wait([process.sentinel for process in self._processes], POLL_SECONDS)
            self._reap()

    def _start(self, trials: Trials, total: int | None, snapshot: Sequence[FrozenTrial]) -> None:
        """Start a process per waiting trial, less the processes that are about to claim one, up to the limit."""
        owners = [owner_of(trial) for trial in snapshot if trial.state == TrialState.RUNNING]
        owner_pids = {owner.process.pid for owner in owners if owner and owner.process.is_local}
        waiting = sum(trial.state == TrialState.WAITING for trial in snapshot)
        unclaimed = waiting - sum(process.pid not in owner_pids for process in self._processes)
        for _ in range(min(unclaimed, self._workers - len(self._processes))):
            log = Path(self._folder.name) / "output"
            process = self._context.Process(
                target=run_trial, args=(self._url, trials.study, total, str(log)), daemon=True
            )
            self._processes.append(process)  # first, so that a Ctrl-C in between leaves no process behind
            with one_thread_each():
                process.start()

    def _reap(self) -> None:
        """Remove exited processes; stop the study if they keep crashing."""
        for process in [process for process in self._processes if process.exitcode is not None]:
            self._processes.remove(process)
            crashed = process.exitcode not in (0, STOPPED_EXIT_CODE, -SIGKILL, -SIGTERM)
            self._crashes = self._crashes + 1 if crashed else 0
            if self._crashes >= MAX_CRASHES:
                log = Path(self._folder.name) / "output"
                output = log.read_text(errors="replace").strip().splitlines() or ["no output"]
                raise SettingError(f"worker processes crash with exit code {process.exitcode}: {output[-1]}")

    def _stop(self) -> None:
        """Stop all processes and requeue their trials."""
        started, self._processes = [process for process in self._processes if process.pid], []
        for process in started:
            process.terminate()
        for process in started:
            process.join(JOIN_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
        for process in started:
            with suppress(Exception):  # if the storage is gone, the next command requeues the trial as lost
                if self._trials and process.pid:
                    self._trials.requeue_trial_of(process.pid)
