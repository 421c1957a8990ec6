"""Make runs: what an executor is, and the one of this machine, which starts a process a run."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Protocol

from agents.machine.processes import ONE_THREAD

LOOK_SECONDS = 0.2  # between two looks at the workers
WAIT_SECONDS = 10.0  # for a worker that was told to end


class Job(NamedTuple):
    """A run to be made."""

    case: str
    seed: int

    def __str__(self) -> str:
        return f"{self.case} seed {self.seed}"


class Place(NamedTuple):
    """Which benchmark is run, and where what it makes goes."""

    benchmark: str
    folder: Path  # of the results
    runs: Path  # of the directories of the runs

    def run_of(self, job: Job) -> Path:
        """Where the directory of this run goes."""
        return self.runs / self.benchmark / job.case.replace("/", "-") / f"seed-{job.seed}"


class JobResult(NamedTuple):
    """What became of a run."""

    job: Job
    seconds: float
    failure: str  # what it did instead of ending well; empty if its row is there

    def __str__(self) -> str:
        return f"{self.job} {self.failure}" if self.failure else f"{self.job}: {self.seconds:.0f} s"


class Executor(Protocol):
    """What makes runs and adds their rows to the results."""

    def has_room(self) -> bool:
        """Whether one more run can be submitted now."""

    def submit(self, job: Job) -> None:
        """Have a run made; does not wait for it."""

    def completed(self) -> list[JobResult]:
        """The runs that have ended since the last call, each once; waits a moment for them."""


class WorkerProcess(NamedTuple):
    """A process that makes a run."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]  # what it wrote to standard error
    started: float


class Processes:
    """The executor of this machine. A context manager: at its end its processes end.

    Args:
        place: what is run, and where it goes.
        workers: processes side by side, each on one thread.
    """

    def __init__(self, place: Place, workers: int) -> None:
        self._place, self._workers = place, workers
        self._busy: list[WorkerProcess] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._busy:
            _end(worker)

    def has_room(self) -> bool:
        """Whether fewer processes run than may."""
        return len(self._busy) < self._workers

    def submit(self, job: Job) -> None:
        """Start the process of a run."""
        benchmark, folder, _ = self._place
        words = [benchmark, job.case, str(job.seed), str(folder), str(self._place.run_of(job))]
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed where the worker's outcome is read)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.runner.worker", *words],
            stdin=subprocess.PIPE,  # it ends when this end is closed, however this process ends
            stdout=errors,
            stderr=errors,
            env=os.environ | ONE_THREAD,
        )
        self._busy.append(WorkerProcess(job, process, errors, time.monotonic()))

    def completed(self) -> list[JobResult]:
        """What became of the processes that have ended, after a moment."""
        time.sleep(LOOK_SECONDS)
        ended = [worker for worker in self._busy if worker.process.poll() is not None]
        for worker in ended:
            self._busy.remove(worker)
        return [_outcome(worker) for worker in ended]


def _outcome(worker: WorkerProcess) -> JobResult:
    """What became of a worker that has ended."""
    seconds = time.monotonic() - worker.started
    with worker.errors:
        if not worker.process.returncode:
            return JobResult(worker.job, seconds, "")
        worker.errors.seek(0)
        said = worker.errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return JobResult(worker.job, seconds, f"failed with exit code {worker.process.returncode}: {said[-1]}")


def _end(worker: WorkerProcess) -> None:
    worker.process.terminate()
    try:
        worker.process.wait(WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    worker.errors.close()
