"""Run the trials of a study in processes of their own, so many at a time, until all of them have ended."""

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
from agents.tuning.trials import Show, Trials, ended, owner_of
from agents.tuning.worker import GIVEN_UP, run_trial
from token_env.errors import SettingError

LOOK_SECONDS = 0.5  # between two looks at the trials
WAIT_SECONDS = 10.0  # for a process that was told to end
MOST_CRASHES = 3  # of processes, one after the other, that ended neither a trial nor by a signal
PRELOADED = [run_trial.__module__, "torch._dynamo"]  # the latter is imported by the first optimizer, in a second


class WorkerPool:
    """Processes that run trials. A context manager: at its end they end, and their trials wait again.

    On Linux they are forked from a server that has imported everything and computed nothing, in a hundredth of the time
    that the imports take; elsewhere they start from nothing.

    Args:
        url: of the storage, complete.
        workers: processes side by side, each on one thread.
    """

    def __init__(self, url: str, workers: int) -> None:
        self._url, self._workers = url, workers
        self._context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
        if sys.platform == "linux":
            self._context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(PRELOADED)
        self._busy: list[BaseProcess] = []
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

    def work_off(self, trials: Trials, total: int | None, show: Show) -> None:
        """Run the first so many trials of a study, all if None, beside whoever else runs some of them.

        Raises:
            SettingError: processes end again and again without running anything.
        """
        self._trials = trials
        while True:
            news = trials.give_back_lost(total)
            seen = trials.all(total)
            show(seen, news)
            if ended(seen) == len(seen):
                self._stop()
                return
            self._start(trials, total, seen)
            wait([process.sentinel for process in self._busy], LOOK_SECONDS)
            self._dismiss()

    def _start(self, trials: Trials, total: int | None, seen: Sequence[FrozenTrial]) -> None:
        """Start as many processes as there are free hands, and trials that nobody is about to claim."""
        running = [owner_of(trial) for trial in seen if trial.state == TrialState.RUNNING]
        at_work = {worker.process.pid for worker in running if worker and worker.process.is_here}
        waiting = sum(trial.state == TrialState.WAITING for trial in seen)
        unclaimed = waiting - sum(process.pid not in at_work for process in self._busy)
        for _ in range(min(unclaimed, self._workers - len(self._busy))):
            log = Path(self._folder.name) / "output"
            process = self._context.Process(
                target=run_trial, args=(self._url, trials.study, total, str(log)), daemon=True
            )
            with one_thread_each():
                process.start()
            self._busy.append(process)

    def _dismiss(self) -> None:
        """Forget processes that have ended, unless they crash all the time."""
        for process in [process for process in self._busy if process.exitcode is not None]:
            self._busy.remove(process)
            crashed = process.exitcode not in (0, GIVEN_UP, -SIGKILL, -SIGTERM)
            self._crashes = self._crashes + 1 if crashed else 0
            if self._crashes >= MOST_CRASHES:
                log = Path(self._folder.name) / "output"
                said = log.read_text(errors="replace").strip().splitlines() or ["they said nothing"]
                raise SettingError(f"the processes of trials end with exit code {process.exitcode}: {said[-1]}")

    def _stop(self) -> None:
        """End all processes, and let their trials wait again."""
        for process in self._busy:
            process.terminate()
        for process in self._busy:
            process.join(WAIT_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
        ended, self._busy = self._busy, []
        for process in ended:
            with suppress(Exception):  # a storage that is gone; whoever comes back to it finds the trial lost
                if self._trials and process.pid:
                    self._trials.hand_back(process.pid)
