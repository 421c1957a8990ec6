"""Run benchmark jobs on a Ray cluster: each Ray task starts a local worker process on its node."""

import io
import logging
import os
import platform
import shutil
import socket
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import ray
from ray.exceptions import LocalRayletDiedError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agents.machine.provenance import revision, versions
from benchmarks.measures.results_file import append, results_file
from benchmarks.measures.row import Row, compared_versions, versions_text
from benchmarks.runner.processes import POLL_SECONDS, TERMINATE_SECONDS, BenchmarkPaths, Job, JobResult, ProcessExecutor
from benchmarks.runner.task_folder import task_folder
from token_env.errors import SettingError

CONNECT_SECONDS = 5.0  # timeout of a connection to the head node
HEARTBEAT_SECONDS = 2.0  # interval between checks of the head node
HEAD_TIMEOUT_SECONDS = 10.0  # the cluster counts as lost without an answer; Ray itself ends this process after 60 s
NODE_CHECK_SECONDS = 120.0  # timeout for a node to report its code version
STOP_SECONDS = TERMINATE_SECONDS + 50.0  # cancelled tasks, of low priority, delete their files; then Ray kills them
MAX_LOSSES = 3  # a job fails after it is lost this many times
START = "ray start --head --port=6379"

CodeVersion = frozenset[tuple[str, str]]  # library versions and the revision of this code


class TaskResult(NamedTuple):
    """The result of a Ray task."""

    result: JobResult
    row: bytes = b""  # line of the results file; empty on failure
    files: bytes = b""  # zip archive of the run directory; empty on failure


def local_code() -> CodeVersion:
    """Return the code version of the node that executes this function."""
    return compared_versions(versions()) | {("revision", str(revision()))}


def run_job(job: Job, benchmark: str, code: CodeVersion) -> TaskResult:
    """Execute a job on this node in a temporary directory; fail if the node has another code version."""
    if (node_code := local_code()) != code:
        return TaskResult(JobResult(job, 0.0, f"failed: {_code_difference(platform.node(), node_code, code)}"))
    raylet = os.getppid()
    with task_folder() as folder:
        paths = BenchmarkPaths(benchmark, folder, folder / "runs")
        with ProcessExecutor(paths, workers=1) as executor:
            executor.submit(job)
            while not (results := executor.completed()):
                if os.getppid() != raylet:  # the node's Ray process died, so nobody collects the result
                    sys.exit(1)
        (result,) = results
        if result.failure:
            return TaskResult(result._replace(failure=f"{result.failure} (on {platform.node()})"))
        archive = shutil.make_archive(str(folder / "run"), "zip", paths.run_folder(job))
        return TaskResult(result, results_file(benchmark, folder).read_bytes(), Path(archive).read_bytes())


class RayExecutor:
    """Executor on the connected Ray cluster; a context manager that cancels its tasks on exit.

    Args:
        paths: Benchmark and its output directories; only this process writes to them.
        workers: Number of parallel tasks, each on one CPU; None: one per CPU, including nodes that join later.
    """

    def __init__(self, paths: BenchmarkPaths, workers: int | None) -> None:
        self._paths, self._workers = paths, workers
        self._run_job = ray.remote(run_job).options(num_cpus=1, max_retries=0)  # Ray retries silently by default
        self._code = local_code()
        self._running: dict[Any, Job] = {}  # by Ray object reference
        self._losses: Counter[Job] = Counter()
        self._head = ray.get_runtime_context().gcs_address
        self._last_check = self._last_answer = time.monotonic()

    def __enter__(self) -> "RayExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            ray.cancel(task)
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running), timeout=STOP_SECONDS)

    def has_room(self) -> bool:
        """Return whether another task can be submitted; Ray queues tasks until a CPU is free."""
        return self._workers is None or len(self._running) < self._workers

    def submit(self, job: Job) -> None:
        """Submit a job to Ray."""
        self._running[self._run_job.remote(job, self._paths.benchmark, self._code)] = job

    def completed(self) -> list[JobResult]:
        """Wait briefly; return the results of ended tasks, and resubmit jobs whose node died.

        Raises:
            SettingError: If the cluster is lost.
        """
        self._require_cluster()
        ended, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=POLL_SECONDS)
        return [result for task in ended if (result := self._collect(task))]

    def _collect(self, task: Any) -> JobResult | None:
        """Store the output of an ended task; return its result, or None if the job is resubmitted."""
        job = self._running.pop(task)
        try:
            output: TaskResult = ray.get(task)
        except RayTaskError as error:
            return JobResult(job, 0.0, f"failed: {_last_line(error)}")
        except LocalRayletDiedError:
            raise self._lost(f"the Ray node of this machine, in the cluster at {self._head},") from None
        except RayError as error:
            return self._resubmit(job, error)
        if output.result.failure:
            return output.result
        try:
            self._store(job, output)
        except OSError as error:
            return output.result._replace(failure=f"cannot be stored: {error}")
        return output.result

    def _resubmit(self, job: Job, error: RayError) -> JobResult | None:
        """Submit a lost job again; return a failure after `MAX_LOSSES` losses."""
        self._losses[job] += 1
        if self._losses[job] == MAX_LOSSES:
            return JobResult(
                job, 0.0, f"failed: it was lost {MAX_LOSSES} times, the last time by {type(error).__name__}"
            )
        print(f"{job} was lost ({type(error).__name__}); it starts again", file=sys.stderr, flush=True)
        self.submit(job)
        return None

    def _store(self, job: Job, output: TaskResult) -> None:
        """Write the run directory, then the row: a run without a row is executed again after a crash."""
        run = self._paths.run_folder(job)
        shutil.rmtree(run, ignore_errors=True)
        zipfile.ZipFile(io.BytesIO(output.files)).extractall(run)
        append(self._paths.benchmark, self._paths.folder, Row.model_validate_json(output.row))

    def _require_cluster(self) -> None:
        """Check the head node periodically: if it is gone, Ray blocks and later ends this process."""
        now = time.monotonic()
        if now - self._last_check < HEARTBEAT_SECONDS:
            return
        self._last_check = now
        if _accepts_connections(self._head):
            self._last_answer = now
        elif now - self._last_answer > HEAD_TIMEOUT_SECONDS:
            raise self._lost(f"the Ray cluster at {self._head}")

    def _lost(self, subject: str) -> SettingError:
        """Give up the tasks, which nobody can cancel any more; return the error."""
        self._running.clear()
        return SettingError(
            f"{subject} is gone. Finished runs are kept; start a cluster and repeat the command to continue."
        )


@contextmanager
def ray_executor(paths: BenchmarkPaths, workers: int | None, address: str | None) -> Iterator[RayExecutor]:
    """Connect to a Ray cluster and yield an executor on it.

    Args:
        paths: Benchmark and its output directories.
        workers: Number of parallel tasks; None: one per CPU.
        address: HOST:PORT of the head node; None: the cluster this machine belongs to.

    Raises:
        SettingError: If no cluster is found, this machine is not a node of it, or a node has another code version.
    """
    with redirect_stdout(sys.stderr):  # Ray prints messages about its nodes to standard output
        try:
            _connect(address or os.environ.get("RAY_ADDRESS", "auto"))
            _require_same_code()
            with RayExecutor(paths, workers) as executor:
                yield executor
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    """Join the cluster at HOST:PORT, or the cluster of this machine if the address is "auto"."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not port.isdigit():
            raise SettingError(
                f"--address {address!r} is not HOST:PORT of the head of a Ray cluster, such as head:6379."
            )
        if not _accepts_connections(address):
            raise SettingError(f"no Ray cluster answers at {address}; type --address of one, or on its head {START}.")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        reason = (
            "this machine belongs to no Ray cluster" if address == "auto" else f"cannot join a Ray cluster at {address}"
        )
        raise SettingError(
            f"{reason} ({_last_line(error)}). Type {START} on one machine, ray start --address=HOST:6379 on the "
            "others, and this command on any of them."
        ) from None


def _require_same_code() -> None:
    """Reject clusters whose nodes have another code version: their rows could not be compared."""
    ours = local_code()
    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}
    if not nodes:
        raise SettingError("no node of the Ray cluster has a cpu; type ray start --address=HOST:PORT on one that does.")
    remote = ray.remote(local_code)
    answers = {
        name: remote.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)
        ).remote()
        for name in nodes
    }
    problems = []
    for name, answer in answers.items():
        node = f"{nodes[name]['NodeManagerHostname']} ({nodes[name]['NodeManagerAddress']})"
        try:
            theirs = ray.get(answer, timeout=NODE_CHECK_SECONDS)
        except RayError as error:
            problems.append(f"{node} cannot run this code: {_last_line(error)}")
        else:
            problems += [_code_difference(node, theirs, ours)] if theirs != ours else []
    if problems:
        raise SettingError(
            f"{'; '.join(problems)}. One table cannot compare their rows: install the same checkout on every node, "
            "with pip install -c constraints.txt '.[ray]'."
        )


def _code_difference(node: str, theirs: CodeVersion, ours: CodeVersion) -> str:
    return f"{node} has {versions_text(theirs - ours)}, here is {versions_text(ours - theirs)}"


def _accepts_connections(address: str) -> bool:
    """Return whether a server accepts TCP connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError):
        return False
    return True


def _last_line(error: Exception) -> str:
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)
