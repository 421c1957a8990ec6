"""Run a benchmark: make the runs that its results lack, wherever an executor makes them."""

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
from benchmarks.runner.processes import Executor, Job, Place, Processes
from benchmarks.suite.cases import find_benchmark
from token_env.errors import SettingError, find

Opened = AbstractContextManager[Executor]


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
    """Make the runs that the results lack, and say on standard error how it gets on.

    Args:
        benchmark: which one.
        folder: where the results are, or go.
        runs: where the directories of the runs go; a finished one stays there.
        seeds: of each case, from 0; fewer where the case says so.
        workers: runs made side by side, each on one thread; None: one here, as many as there are cpus on a cluster.
        cases: only these; all if None.
        executor: where the runs are made, a name in `EXECUTORS`.
        address: of the cluster, HOST:PORT; None: the one that this machine belongs to.

    Returns:
        The runs that failed.

    Raises:
        SettingError: an unknown benchmark, case or executor, results of other versions, somebody else at work there, or
            no cluster, or one that is gone.
    """
    declared = find_benchmark(benchmark)
    chosen = [declared.find_case(name) for name in cases] if cases else declared.cases
    makes = find("executor", executor, EXECUTORS)(Place(benchmark, folder, runs), workers, address)
    with exclusive_writer(benchmark, folder):
        rows = read_rows_if_any(benchmark, folder)
        if rows.complaint:
            print(rows.complaint, file=sys.stderr)
        _require_these_versions(rows.good, rows.path)
        there = {(row.case, row.seed) for row in rows.good}
        jobs = [Job(case.name, seed) for seed in range(seeds) for case in chosen if seed in case.seeds(seeds)]
        missing = [job for job in jobs if job not in there]
        print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are there; results: {rows.path}", file=sys.stderr)
        if not missing:
            return []
        with makes as opened:
            return _work_off(missing, opened)


def _require_these_versions(rows: list[Row], path: Path) -> None:
    ours = compared_versions(versions())
    for row in rows:
        theirs = compared_versions(row.versions)
        if theirs != ours:
            raise SettingError(
                f"the results in {str(path)!r} were made with {versions_text(theirs - ours)}, "
                f"here is {versions_text(ours - theirs)}; "
                "runs of both cannot stand in one table. Type --results with a new folder, or move that file away."
            )


def _work_off(jobs: list[Job], executor: Executor) -> list[Job]:
    """Have these runs made; those that failed."""
    waiting, done, started = list(reversed(jobs)), 0, time.monotonic()
    failed: list[Job] = []
    while done < len(jobs):
        while waiting and executor.has_room():
            executor.submit(waiting.pop())
        for outcome in executor.completed():
            done += 1
            left = (time.monotonic() - started) / done * (len(jobs) - done)
            print(f"[{done}/{len(jobs)}] {outcome}; about {left / 60:.0f} min left", file=sys.stderr, flush=True)
            failed += [outcome.job] if outcome.failure else []
    return failed


def _local(place: Place, workers: int | None, address: str | None) -> Opened:
    if address:
        raise SettingError("--address is that of a Ray cluster; type --executor ray with it.")
    return Processes(place, workers or 1)


def _ray(place: Place, workers: int | None, address: str | None) -> Opened:
    if find_spec("ray") is None:
        raise SettingError("--executor ray needs Ray; type pip install -c constraints.txt '.[ray]'.")
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # read at import; else it tries for a quarter of an hour
    from benchmarks.runner.ray_cluster import on_ray  # half a second, where it is asked for

    return on_ray(place, workers, address)


EXECUTORS: dict[str, Callable[[Place, int | None, str | None], Opened]] = {"local": _local, "ray": _ray}
