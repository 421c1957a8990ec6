"""Run a benchmark: every run a process of its own, going on where an earlier command stopped."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

from agents.processes import ONE_THREAD
from agents.provenance import versions
from benchmarks.cases import find_benchmark
from benchmarks.row import Row, made_with, named
from benchmarks.rows import read_rows_if_any, sole_writer
from token_env.errors import SettingError

LOOK_SECONDS = 0.2  # between two looks at the workers
WAIT_SECONDS = 10.0  # for a worker that was told to end


class Job(NamedTuple):
    """A run to be made."""

    case: str
    seed: int

    def __str__(self) -> str:
        return f"{self.case} seed {self.seed}"


class Worker(NamedTuple):
    """A run that is being made."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]  # what it wrote to standard error
    started: float


def run_benchmark(
    benchmark: str, folder: Path, runs: Path, seeds: int, workers: int = 1, cases: list[str] | None = None
) -> list[Job]:
    """Make the runs that the results lack, and say on standard error how it gets on.

    Args:
        benchmark: which one.
        folder: where the results are, or go.
        runs: where the directories of the runs go; a finished one stays there.
        seeds: of each case, from 0; fewer where the case says so.
        workers: runs made side by side, each on one thread.
        cases: only these; all if None.

    Returns:
        The runs that failed.

    Raises:
        SettingError: an unknown benchmark or case, results of other versions, or somebody else at work there.
    """
    declared = find_benchmark(benchmark)
    chosen = [declared.find_case(name) for name in cases] if cases else declared.cases
    with sole_writer(benchmark, folder):
        rows = read_rows_if_any(benchmark, folder)
        if rows.complaint:
            print(rows.complaint, file=sys.stderr)
        _require_these_versions(rows.good, rows.path)
        there = {(row.case, row.seed) for row in rows.good}
        jobs = [Job(case.name, seed) for seed in range(seeds) for case in chosen if seed in case.seeds(seeds)]
        missing = [job for job in jobs if job not in there]
        print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are there; results: {rows.path}", file=sys.stderr)
        return _work_off(missing, benchmark, folder, runs, workers)


def _require_these_versions(rows: list[Row], path: Path) -> None:
    ours = made_with(versions())
    for row in rows:
        theirs = made_with(row.versions)
        if theirs != ours:
            raise SettingError(
                f"the results in {str(path)!r} were made with {named(theirs - ours)}, here is {named(ours - theirs)}; "
                "runs of both cannot stand in one table. Type --results with a new folder, or move that file away."
            )


def _work_off(jobs: list[Job], benchmark: str, folder: Path, runs: Path, count: int) -> list[Job]:
    """Make these runs, `count` at a time; those that failed."""
    waiting, done, started = list(reversed(jobs)), 0, time.monotonic()
    busy: list[Worker] = []
    failed: list[Job] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                busy.append(_start(waiting.pop(), benchmark, folder, runs))
            time.sleep(LOOK_SECONDS)
            for worker in [worker for worker in busy if worker.process.poll() is not None]:
                busy.remove(worker)
                done += 1
                left = (time.monotonic() - started) / done * (len(jobs) - done)
                print(
                    f"[{done}/{len(jobs)}] {_outcome(worker)}; about {left / 60:.0f} min left",
                    file=sys.stderr,
                    flush=True,
                )
                failed += [worker.job] if worker.process.returncode else []
    finally:
        for worker in busy:
            _end(worker)
    return failed


def _start(job: Job, benchmark: str, folder: Path, runs: Path) -> Worker:
    run = runs / benchmark / job.case.replace("/", "-") / f"seed-{job.seed}"
    words = [benchmark, job.case, str(job.seed), str(folder), str(run)]
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed where the worker's outcome is read)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.measure", *words],
        stdin=subprocess.PIPE,  # it ends when this end is closed, however this process ends
        stdout=errors,
        stderr=errors,
        env=os.environ | ONE_THREAD,
    )
    return Worker(job, process, errors, time.monotonic())


def _outcome(worker: Worker) -> str:
    """What became of a worker that has ended."""
    seconds = time.monotonic() - worker.started
    with worker.errors:
        if not worker.process.returncode:
            return f"{worker.job}: {seconds:.0f} s"
        worker.errors.seek(0)
        said = worker.errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return f"{worker.job} failed with exit code {worker.process.returncode}: {said[-1]}"


def _end(worker: Worker) -> None:
    worker.process.terminate()
    try:
        worker.process.wait(WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    worker.errors.close()
