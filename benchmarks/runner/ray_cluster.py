"""Make runs on a Ray cluster: a task a run, in which the node starts the same process as this machine would."""

import io
import logging
import os
import platform
import shutil
import socket
import sys
import tempfile
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
from benchmarks.runner.processes import LOOK_SECONDS, Job, JobResult, Place, Processes
from token_env.errors import SettingError

ANSWER_SECONDS = 5.0  # for the head to take a connection
ASK_SECONDS = 2.0  # between two questions whether the head is there
GONE_SECONDS = 10.0  # that it may be away; after 60, Ray ends whoever is connected
CHECK_SECONDS = 120.0  # for every node to tell what it would make runs with
STOP_SECONDS = 5.0  # for tasks to end what they have started
MOST_LOSSES = 3  # of one run to dying nodes; then it fails
START = "ray start --head --port=6379"

Code = frozenset[tuple[str, str]]  # what runs are made with: versions, and the revision of this code


class Made(NamedTuple):
    """What a node hands back."""

    outcome: JobResult
    row: bytes = b""  # a line of results; empty if the run failed
    files: bytes = b""  # its directory, as a zip


def code_here() -> Code:
    """What runs are made with where this is called."""
    return compared_versions(versions()) | {("revision", str(revision()))}


def make(job: Job, benchmark: str, code: Code) -> Made:
    """Make a run on the node where this is called, in a temporary directory, unless its code is another."""
    if (here := code_here()) != code:
        return Made(JobResult(job, 0.0, f"failed: {_other_code(platform.node(), here, code)}"))
    raylet = os.getppid()
    with tempfile.TemporaryDirectory(prefix="tokentask-") as name:
        place = Place(benchmark, Path(name), Path(name) / "runs")
        with Processes(place, workers=1) as processes:
            processes.submit(job)
            while not (ended := processes.completed()):
                if os.getppid() != raylet:  # the node has died around this process, and nobody waits for it
                    sys.exit(1)
        (outcome,) = ended
        if outcome.failure:
            return Made(outcome._replace(failure=f"{outcome.failure} (on {platform.node()})"))
        archive = shutil.make_archive(str(place.folder / "run"), "zip", place.run_of(job))
        return Made(outcome, results_file(benchmark, place.folder).read_bytes(), Path(archive).read_bytes())


class Tasks:
    """The executor of the cluster that this process is connected to. A context manager: at its end its tasks end.

    Args:
        place: what is run, and where it goes; rows and directories are written by this process alone.
        workers: tasks side by side, each on one cpu; None: as many as there are cpus, also of nodes that join later.
    """

    def __init__(self, place: Place, workers: int | None) -> None:
        self._place, self._workers = place, workers
        self._make = ray.remote(make).options(num_cpus=1, max_retries=0)  # Ray would try again without a word
        self._code = code_here()
        self._busy: dict[Any, Job] = {}  # by Ray's reference to what is to come
        self._losses: Counter[Job] = Counter()
        self._head = ray.get_runtime_context().gcs_address
        self._asked = self._answered = time.monotonic()

    def __enter__(self) -> "Tasks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._busy:
            ray.cancel(task)
        if self._busy:
            ray.wait(list(self._busy), num_returns=len(self._busy), timeout=STOP_SECONDS)

    def has_room(self) -> bool:
        """Whether fewer tasks are submitted than may; Ray itself lets them wait for cpus."""
        return self._workers is None or len(self._busy) < self._workers

    def submit(self, job: Job) -> None:
        """Hand the run to Ray."""
        self._busy[self._make.remote(job, self._place.benchmark, self._code)] = job

    def completed(self) -> list[JobResult]:
        """What became of the tasks that have ended, after a moment; those whose node has died begin again.

        Raises:
            SettingError: the cluster is gone.
        """
        self._require_cluster()
        ended, _ = ray.wait(list(self._busy), num_returns=len(self._busy), timeout=LOOK_SECONDS)
        return [outcome for task in ended if (outcome := self._outcome(task))]

    def _outcome(self, task: Any) -> JobResult | None:
        job = self._busy.pop(task)
        try:
            made: Made = ray.get(task)
        except RayTaskError as error:
            return JobResult(job, 0.0, f"failed: {_last_line(error)}")
        except LocalRayletDiedError:
            raise _gone(f"the Ray node of this machine, in the cluster at {self._head},") from None
        except RayError as error:
            return self._lost(job, error)
        if made.outcome.failure:
            return made.outcome
        try:
            self._keep(job, made)
        except OSError as error:
            return made.outcome._replace(failure=f"cannot be kept: {error}")
        return made.outcome

    def _lost(self, job: Job, error: RayError) -> JobResult | None:
        """Submit the run again, unless that has been done too often."""
        self._losses[job] += 1
        if self._losses[job] == MOST_LOSSES:
            return JobResult(job, 0.0, f"failed: it was lost {MOST_LOSSES} times, at last by a {type(error).__name__}")
        print(f"{job} was lost ({type(error).__name__}); it is made again", file=sys.stderr, flush=True)
        self.submit(job)
        return None

    def _keep(self, job: Job, made: Made) -> None:
        """Write the directory of a run, then its row, so that what a crash leaves half done is made again."""
        run = self._place.run_of(job)
        shutil.rmtree(run, ignore_errors=True)
        zipfile.ZipFile(io.BytesIO(made.files)).extractall(run)
        append(self._place.benchmark, self._place.folder, Row.model_validate_json(made.row))

    def _require_cluster(self) -> None:
        """Ask the head for a sign of life now and then: where it is gone, Ray waits, and then ends this process."""
        now = time.monotonic()
        if now - self._asked < ASK_SECONDS:
            return
        self._asked = now
        if _answers(self._head):
            self._answered = now
        elif now - self._answered > GONE_SECONDS:
            raise _gone(f"the Ray cluster at {self._head}")


@contextmanager
def on_ray(place: Place, workers: int | None, address: str | None) -> Iterator[Tasks]:
    """Connect to a cluster and hand out its executor.

    Args:
        place: what is run, and where it goes.
        workers: tasks side by side; None: as many as there are cpus.
        address: HOST:PORT of its head; None: the one that this machine belongs to.

    Raises:
        SettingError: no cluster, this machine is no node of it, or nodes that would make other runs.
    """
    with redirect_stdout(sys.stderr):  # where Ray tells of its nodes
        try:
            _connect(address or os.environ.get("RAY_ADDRESS", "auto"))
            _require_same_code()
            with Tasks(place, workers) as tasks:
                yield tasks
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not port.isdigit():
            raise SettingError(
                f"--address {address!r} is not HOST:PORT of the head of a Ray cluster, such as head:6379."
            )
        if not _answers(address):
            raise SettingError(f"no Ray cluster answers at {address}; type --address of one, or on its head {START}.")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        where = (
            "this machine belongs to no Ray cluster" if address == "auto" else f"cannot join a Ray cluster at {address}"
        )
        raise SettingError(
            f"{where} ({_last_line(error)}). Type {START} on one machine, ray start --address=HOST:6379 on the others, "
            "and this command on any of them."
        ) from None


def _require_same_code() -> None:
    """Have every node tell what it would make runs with: rows that were made with something else would be left out."""
    ours = code_here()
    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}
    if not nodes:
        raise SettingError("no node of the Ray cluster has a cpu; type ray start --address=HOST:PORT on one that does.")
    ask = ray.remote(code_here)
    asked = {
        name: ask.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)
        ).remote()
        for name in nodes
    }
    wrong = []
    for name, told in asked.items():
        node = f"{nodes[name]['NodeManagerHostname']} ({nodes[name]['NodeManagerAddress']})"
        try:
            theirs = ray.get(told, timeout=CHECK_SECONDS)
        except RayError as error:
            wrong.append(f"{node} cannot run this code: {_last_line(error)}")
        else:
            wrong += [_other_code(node, theirs, ours)] if theirs != ours else []
    if wrong:
        raise SettingError(
            f"{'; '.join(wrong)}. Rows of both cannot stand in one table: install the same checkout on every node, "
            "with pip install -c constraints.txt '.[ray]'."
        )


def _other_code(node: str, theirs: Code, ours: Code) -> str:
    return f"{node} has {versions_text(theirs - ours)}, here is {versions_text(ours - theirs)}"


def _answers(address: str) -> bool:
    """Whether somebody takes connections there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError):
        return False
    return True


def _gone(what: str) -> SettingError:
    return SettingError(f"{what} is gone. What is finished is kept; with a cluster, the same command goes on.")


def _last_line(error: Exception) -> str:
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)
