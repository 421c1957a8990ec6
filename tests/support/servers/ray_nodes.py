"""Ray clusters of the tests' own: a process holds the nodes, all on this machine, and kills them when told to."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

SECONDS = 60.0  # to stop
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 1024**2}
# A node is dead after 20 seconds without a sign, which a starved one may fail to give for several. Tasks have the
# priority of the tests, Ray's default is 15.
QUICK = {
    "worker_niceness": 0,
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 20,
}


def why_not() -> str | None:
    """Why no cluster can be started here; None if one can."""
    if find_spec("ray") is None:
        return "Ray is not installed; type pip install -c constraints.txt '.[ray]'"
    return "Ray has clusters of one node only on macOS" if sys.platform == "darwin" else None


class Nodes:
    """A cluster: node 0 is its head, each has one cpu.

    Attributes:
        address: HOST:PORT of the head.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def add(self, packages: Path | str = "") -> None:
        """Start one more node, which looks for packages there first."""
        self._tell(f"add {packages}")

    def kill(self, number: int) -> None:
        """Kill a node, with the head the cluster."""
        self._tell(f"kill {number}")

    def _tell(self, words: str) -> None:
        assert self._process.stdin
        print(words, file=self._process.stdin, flush=True)
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def cluster(scratch: Path) -> Iterator[Nodes]:
    """A cluster of one node, whose tasks have their temporary files in this folder."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.servers.ray_nodes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield Nodes(process)
    finally:
        process.communicate(timeout=SECONDS)


def main() -> None:
    """Hold a cluster until standard input ends: print its address, then do what each line says."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:  # paths of sockets are short
        os.environ["RAY_TMPDIR"] = folder
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True, head_node_args={"include_dashboard": False, "_system_config": QUICK, **SMALL}
        )
        nodes = [cluster.head_node]
        print(cluster.address, flush=True)
        for line in sys.stdin:
            word, *more = line.split()
            if word == "add":
                path = os.pathsep.join([*more, os.environ.get("PYTHONPATH", "")])
                nodes.append(cluster.add_node(env_vars={"PYTHONPATH": path}, **SMALL))
            else:
                cluster.remove_node(nodes[int(more[0])], allow_graceful=False)
            print("done", flush=True)
        cluster.shutdown()


if __name__ == "__main__":
    main()
