"""Run the missing runs of a benchmark with an executor."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from agents.machine.provenance import versions
from benchmarks.measures.results_file import exclusive_writer, read_rows_if_any
from benchmarks.measures.row import Row, compared_versions, versions_text
from benchmarks.runner.clean_checkout import require_clean_checkout
from benchmarks.runner.processes import BenchmarkPaths, Executor, Job, ProcessExecutor
from benchmarks.suite.cases import find_benchmark
from token_env.errors import SettingError, find

ExecutorContext = AbstractContextManager[Executor]


def run_benchmark(
    benchmark: str,
    folder: Path,
    runs: Path,
    seeds: int,
    workers: int | None = None,
    cases: list[str] | None = None,
    executor: str = "local",
    address: str | None = None,
) -> list[Job]:
    """Execute the runs that the results file lacks; print progress to standard error.

    Args:
        benchmark: Name of the benchmark.
        folder: Directory of the results files.
        runs: Parent of the run directories; finished runs stay there.
        seeds: Number of seeds per case, counted from 0; limited by the case's `max_seeds`.
        workers: Number of parallel runs, each on one thread; None: one locally, one per CPU on a cluster.
        cases: Names of the cases to run; None: all.
        executor: Name of the executor in `EXECUTORS`.
        address: HOST:PORT of the Ray cluster; None: the cluster this machine belongs to.

    Returns:
        The failed jobs.

    Raises:
        SettingError: If the benchmark, a case or the executor is unknown, the results were made with other versions,
            another process writes the same results, the results are the committed ones and the code is not, or the
            cluster cannot be reached.
    """
    definition = find_benchmark(benchmark)
    selected = [definition.find_case(name) for name in cases] if cases else definition.cases
    context = find("executor", executor, EXECUTORS)(BenchmarkPaths(benchmark, folder, runs), workers, address)
    with exclusive_writer(benchmark, folder):
        rows = read_rows_if_any(benchmark, folder)
        if rows.warning:
            print(rows.warning, file=sys.stderr)
        _require_same_versions(rows.accepted, rows.path)
        finished = {(row.case, row.seed) for row in rows.accepted}
        jobs = [Job(case.name, seed) for seed in range(seeds) for case in selected if seed in case.seeds(seeds)]
        missing = [job for job in jobs if job not in finished]
        if missing:
            require_clean_checkout(folder)
        print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are finished; results: {rows.path}", file=sys.stderr)
        if not missing:
            return []
        with context as opened:
            return _run_jobs(missing, opened)


def _require_same_versions(rows: list[Row], path: Path) -> None:
    ours = compared_versions(versions())
    for row in rows:
        theirs = compared_versions(row.versions)
        if theirs != ours:
            raise SettingError(
                f"the results in {str(path)!r} were made with {versions_text(theirs - ours)}, "
                f"here is {versions_text(ours - theirs)}; "
                "one table cannot compare them. Type --results with a new folder, or move that file away."
            )


def _run_jobs(jobs: list[Job], executor: Executor) -> list[Job]:
    """Run all jobs; return the failed ones."""
    waiting, done, started = list(reversed(jobs)), 0, time.monotonic()
    failed: list[Job] = []
    while done < len(jobs):
        while waiting and executor.has_room():
            executor.submit(waiting.pop())
        for result in executor.completed():
            done += 1
            left = (time.monotonic() - started) / done * (len(jobs) - done)
            print(f"[{done}/{len(jobs)}] {result}; about {left / 60:.0f} min left", file=sys.stderr, flush=True)
            failed += [result.job] if result.failure else []
    return failed


def _local(paths: BenchmarkPaths, workers: int | None, address: str | None) -> ExecutorContext:
    if address:
        raise SettingError("--address is for a Ray cluster; type --executor ray with it.")
    return ProcessExecutor(paths, workers or 1)


def _ray(paths: BenchmarkPaths, workers: int | None, address: str | None) -> ExecutorContext:
    if find_spec("ray") is None:
        raise SettingError("--executor ray needs Ray; type pip install -c constraints.txt '.[ray]'.")
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # read at import; Ray's default retries take 15 minutes
    from benchmarks.runner.ray_cluster import ray_executor  # slow import (0.5 s)

    return ray_executor(paths, workers, address)


MakeExecutor = Callable[[BenchmarkPaths, int | None, str | None], ExecutorContext]
EXECUTORS: dict[str, MakeExecutor] = {"local": _local, "ray": _ray}
