"""Start the benchmark harness and look at its workers."""

import os
import subprocess
import time

from benchmarks import results
from benchmarks.runner.processes import JobResult
from tests.support.processes import SECONDS, python, run


class Notes:
    """An executor that notes its jobs and says at once that they are done."""

    def __init__(self):
        self.jobs, self._new = [], []

    def has_room(self):
        return True

    def submit(self, job):
        self.jobs.append(str(job))
        self._new.append(JobResult(job, 0.0, ""))

    def completed(self):
        new, self._new = self._new, []
        return new


SOAK = bool(os.environ.get("SOAK"))
SEEDS = 7 if SOAK else 1
# What a second making of the same run may change.
PASSING = [
    "host", "processor", "started", "revision", "training_minutes", "cpu_minutes", "episodes_per_minute",
    "steps_per_second", "peak_memory_mb", "cpu_percent",
]  # fmt: skip


def command(folder, seeds=SEEDS, *more):
    words = ["run", "tiny", "--seeds", str(seeds), "--workers", "2", "--results", str(folder)]
    return python("benchmarks", *words, "--runs", str(folder / "runs"), *more)


def measured(folder):
    return results("tiny", folder).drop(columns=PASSING)


def run_to_the_end(folder, *options):
    out = run(command(folder, *options))
    assert out.returncode == 0, out.stderr
    return out.stderr


PAUSE = 0.25  # between two looks, each of which starts `ps`


def workers_of(folder):
    """Process ids of the workers that write into this folder."""
    told = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [
        int(line.split()[0]) for line in told.splitlines() if "benchmarks.runner.worker" in line and str(folder) in line
    ]


def first_worker(folder, seconds=SECONDS):
    """Process id of a worker that writes into this folder, as soon as there is one."""
    until = time.monotonic() + seconds
    while not (found := workers_of(folder)):
        assert time.monotonic() < until
        time.sleep(PAUSE)
    return found[0]


def gone(folder, seconds=60.0):
    """Whether no worker is left, after a moment."""
    until = time.monotonic() + seconds
    while workers_of(folder) and time.monotonic() < until:
        time.sleep(PAUSE)
    return not workers_of(folder)
