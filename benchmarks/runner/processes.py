"""Define executors of benchmark runs, and run each job in a local process."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Protocol

from agents.machine.processes import ONE_THREAD
from benchmarks.runner.worker import DIVERGED

POLL_SECONDS = 0.2  # interval between checks of the workers
TERMINATE_SECONDS = 10.0  # a worker is killed this long after SIGTERM


class Job(NamedTuple):
    """One run to execute."""

    case: str
    seed: int

    def __str__(self) -> str:
        return f"{self.case} seed {self.seed}"


class BenchmarkPaths(NamedTuple):
    """A benchmark with its output directories."""

    benchmark: str
    folder: Path  # directory of the results files
    runs: Path  # parent of the run directories

    def run_folder(self, job: Job) -> Path:
        """Return the run directory of a job."""
        return self.runs / self.benchmark / job.case.replace("/", "-") / f"seed-{job.seed}"


class JobResult(NamedTuple):
    """The result of a job: success with its duration, or a failure."""

    job: Job
    seconds: float  # wall-clock time
    failure: str  # description of the failure; empty on success
    note: str = ""  # remark on a success, such as a training that diverged

    def __str__(self) -> str:
        if self.failure:
            return f"{self.job} {self.failure}"
        return f"{self.job}: {self.seconds:.0f} s{self.note and f', {self.note}'}"


class Executor(Protocol):
    """Executes jobs and appends their rows to the results file."""

    def has_room(self) -> bool:
        """Return whether another job can be submitted now."""

    def submit(self, job: Job) -> None:
        """Start a job without waiting for it."""

    def completed(self) -> list[JobResult]:
        """Wait briefly; return the results of the jobs that ended since the last call."""


class WorkerProcess(NamedTuple):
    """A process that executes one job."""

    job: Job
    process: subprocess.Popen[bytes]
    output: IO[bytes]  # standard output and standard error
    started: float  # time.monotonic()


class ProcessExecutor:
    """Executor that runs each job in a local process; a context manager that stops its processes on exit.

    Args:
        paths: Benchmark and its output directories.
        workers: Number of parallel processes, each on one thread.
    """

    def __init__(self, paths: BenchmarkPaths, workers: int) -> None:
        self._paths, self._workers = paths, workers
        self._running: list[WorkerProcess] = []

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._running:
            _stop(worker)

    def has_room(self) -> bool:
        """Return whether fewer than `workers` processes are running."""
        return len(self._running) < self._workers

    def submit(self, job: Job) -> None:
        """Start the process of a job."""
        benchmark, folder, _ = self._paths
        arguments = [benchmark, job.case, str(job.seed), str(folder), str(self._paths.run_folder(job))]
        output = tempfile.TemporaryFile()  # noqa: SIM115 (closed in _job_result and _stop)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.runner.worker", *arguments],
            stdin=subprocess.PIPE,  # closes with this process, even if it is killed; the worker then exits
            stdout=output,
            stderr=output,
            env=os.environ | ONE_THREAD,
        )
        self._running.append(WorkerProcess(job, process, output, time.monotonic()))

    def completed(self) -> list[JobResult]:
        """Wait `POLL_SECONDS`; return the results of the processes that have ended."""
        time.sleep(POLL_SECONDS)
        ended = [worker for worker in self._running if worker.process.poll() is not None]
        for worker in ended:
            self._running.remove(worker)
        return [_job_result(worker) for worker in ended]


def _job_result(worker: WorkerProcess) -> JobResult:
    """Return the result of an ended worker; a failure quotes the last line of its output."""
    seconds = time.monotonic() - worker.started
    with worker.process, worker.output:  # closes its standard input, too
        if not worker.process.returncode:
            return JobResult(worker.job, seconds, "")
        worker.output.seek(0)
        lines = worker.output.read().decode(errors="replace").strip().splitlines() or ["no output"]
    if worker.process.returncode == DIVERGED:
        return JobResult(worker.job, seconds, "", lines[-1])
    return JobResult(worker.job, seconds, f"failed with exit code {worker.process.returncode}: {lines[-1]}")


def _stop(worker: WorkerProcess) -> None:
    """Terminate a worker; kill it if it does not exit in time."""
    with worker.process, worker.output:
        worker.process.terminate()
        try:
            worker.process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
