"""Load services of exported models over HTTP, on 127.0.0.1 alone and for a bounded time.

Each service is a process of `python -m agents.serve`. First as many requests as it can answer are kept open, which
gives its peak; then requests are sent at 80 % of the peak at fixed times, whether or not earlier ones were answered,
which gives latencies. Requests and answers are counted by this process, which shares the processor with the services.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import gymnasium
import numpy as np
from rich.table import Table

from agents.machine.provenance import processor
from agents.serving.deployment import Deployment
from agents.serving.model import Model, read_model
from token_env.errors import SettingError

CONNECTIONS = 128
SHARE_OF_PEAK = 0.8
TIMEOUT = 30.0  # seconds until an answer is given up
WAYS = {"batches, 1 process": (64, 1), "batches, 2 processes": (64, 2), "single rows, 1 process": (1, 1)}
COLUMNS = ("model", "way", "answers a second", "p50 ms", "p99 ms", "failed", "CPU ms an answer")


class Outcome(NamedTuple):
    """Requests of one measurement."""

    latencies: list[float]  # seconds, of answered requests
    failed: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


class Connection:
    """A connection that is kept open; plain HTTP, because a client library takes more time than the service.

    Args:
        port: Port of the service on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def say(self, number: int) -> int:
        """Ask for the answer to a problem, and return the HTTP status; 0 if the connection breaks."""
        body = b'{"request": "load %d", "problem": %d}' % (number, number)
        head = (
            b"POST /v1/say HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head % len(body) + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = re.search(rb"content-length: (\d+)", answer)
                await reader.readexactly(int(length[1]) if length else 0)
                return int(answer.split(b" ", 2)[1])
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            self.close()
            return 0

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def saturate(ports: Sequence[int], seconds: float, connections: int, first: int) -> Outcome:
    """Keep this number of requests open for a time.

    Args:
        ports: Ports of the services, which share the connections.
        seconds: Length of the measurement.
        connections: Number of requests at a time.
        first: Id of the first problem; the following ones are asked in order.
    """
    numbers, latencies, failed = count(first), list[float](), 0
    end = time.perf_counter() + seconds

    async def client(port: int) -> None:
        nonlocal failed
        connection = Connection(port)
        while (start := time.perf_counter()) < end:
            if await connection.say(next(numbers)) == 200:
                latencies.append(time.perf_counter() - start)
            else:
                failed += 1
        connection.close()

    start = time.perf_counter()
    await asyncio.gather(*(client(ports[index % len(ports)]) for index in range(connections)))
    return Outcome(latencies, failed, time.perf_counter() - start)


async def send_at_rate(ports: Sequence[int], seconds: float, rate: float, first: int) -> Outcome:
    """Send requests at fixed times; the latency counts from the time at which a request was due.

    Args:
        ports: Ports of the services, which take turns.
        seconds: Length of the measurement.
        rate: Requests a second.
        first: Id of the first problem.
    """
    idle: dict[int, list[Connection]] = {port: [] for port in ports}
    latencies, failed, tasks = list[float](), 0, set[asyncio.Task[None]]()
    begin = time.perf_counter()

    async def ask(number: int, due: float) -> None:
        nonlocal failed
        connections = idle[ports[number % len(ports)]]
        connection = connections.pop() if connections else Connection(ports[number % len(ports)])
        if await connection.say(number) == 200:
            latencies.append(time.perf_counter() - due)
        else:
            failed += 1
        connections.append(connection)

    for sent in range(int(seconds * rate)):
        due = begin + sent / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(ask(first + sent, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in (one for connections in idle.values() for one in connections):
        connection.close()
    return Outcome(latencies, failed, time.perf_counter() - begin)


@contextmanager
def served(model: Path, rows: int, folder: Path) -> Iterator[int]:
    """Serve a model with batches of this number of rows; yields the port."""
    words = [sys.executable, "-m", "agents.serve", str(model), "--port", "0", "--folder", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*words, "--batch-size", str(rows)], stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr
    try:
        line = process.stderr.readline()
        if not line.startswith("http://"):
            raise SettingError(f"{str(model)!r} cannot be served: {line.removeprefix('error: ')}")
        port = int(line.split()[0].rpartition(":")[2])
        while not _is_ready(port):
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)
        process.stderr.close()


def play_alone(model: Model, seconds: float) -> Outcome:
    """Answer problems one after another in this process, a row in each call, without HTTP."""
    deployment = Deployment(model)
    env = gymnasium.make("TokenTask-v0", **{**model.keywords, "split": "test", "num_problems": None, "optimum": False})
    masks = env.get_wrapper_attr("action_masks")
    latencies, begin = list[float](), time.perf_counter()
    while (start := time.perf_counter()) < begin + seconds:
        observation, _ = env.reset(options={"problem_id": len(latencies)})
        terminated, memory = False, model.initial_memory(1)
        while not terminated:
            legal = masks()[None] if model.takes_masks else None
            logits, memory = model.logits(observation[None], legal, memory)
            observation, _, terminated, _, _ = env.step(int(logits[0, : deployment.task.vocab_size].argmax()))
        latencies.append(time.perf_counter() - start)
    return Outcome(latencies, 0, time.perf_counter() - begin)


def load_table(models: Sequence[Path], seconds: float, connections: int) -> Table:
    """Measure services of these models, and return the table.

    Args:
        models: ONNX files.
        seconds: Length of each measurement.
        connections: Number of requests at a time at the peak.

    Raises:
        SettingError: A model cannot be served.
    """
    before = os.getloadavg()[0]
    table = Table(title=f"Services on {processor()}, {os.cpu_count()} cores", caption_justify="left")
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index < 2 else "right")
    for path in models:
        start = time.process_time()
        alone = play_alone(read_model(path), seconds)
        cpu = (time.process_time() - start) / max(1, len(alone.latencies))
        _add_row(table, path.stem, "function, row by row, no HTTP", alone, alone, cpu)
        for way, (rows, processes) in WAYS.items():
            _add_row(table, path.stem, way, *_measure(path, rows, processes, seconds, connections))
    table.caption = (
        f"{seconds:g} seconds each. Peak with {connections} requests at a time; latencies and failures at "
        f"{SHARE_OF_PEAK:.0%} of the peak; CPU of the services at the peak.\nThe client shares the cores. Load "
        f"average of the machine when the measurement began: {before:.1f}."
    )
    return table


def _measure(
    model: Path, rows: int, processes: int, seconds: float, connections: int
) -> tuple[Outcome, Outcome, float]:
    """Return the peak, the latencies below it, and CPU seconds for an answer at the peak."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = [stack.enter_context(served(model, rows, folder / str(index))) for index in range(processes)]
        asyncio.run(saturate(ports, seconds / 5, connections, 0))  # so that nothing is done for the first time
        before = sum(map(_cpu_seconds, ports))
        peak = asyncio.run(saturate(ports, seconds, connections, 1_000_000))
        cpu = (sum(map(_cpu_seconds, ports)) - before) / max(1, len(peak.latencies))
        below = asyncio.run(send_at_rate(ports, seconds, max(1.0, SHARE_OF_PEAK * peak.rate), 2_000_000))
    return peak, below, cpu


def _add_row(table: Table, model: str, way: str, peak: Outcome, below: Outcome, cpu: float) -> None:
    cuts = quantiles(below.latencies, n=100) if len(below.latencies) > 1 else [np.nan] * 99
    figures = f"{peak.rate:,.0f}", f"{1000 * cuts[49]:,.1f}", f"{1000 * cuts[98]:,.1f}"
    table.add_row(model, way, *figures, str(peak.failed + below.failed), f"{1000 * cpu:.2f}")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return bool(json.load(response)["detail"] == "ready")
    except OSError:
        return False


def _cpu_seconds(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        found = re.search(r"^process_cpu_seconds_total (\S+)", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else float("nan")
