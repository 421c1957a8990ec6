"""A service as a process: without torch, ended by signals, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path

import pytest

from agents.evaluation.deployment_log import read_log
from examples import ab_deployment
from examples.ab_deployment import Client
from tests.support.processes import python, wait_until
from tests.support.serving import call, served

ROOT = Path(__file__).parents[3]
KILLS = 10 if os.environ.get("SOAK") else 2

# Refuses what a server does not have, and proves that it does.
WITHOUT_TORCH = """
import importlib.abc, runpy, sys
class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "stable_baselines3", "sb3_contrib", "pandas", "onnx", "matplotlib"):
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Refuses())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "stable_baselines3" else find_spec(name, *rest)
try:
    import torch
except ImportError:
    runpy.run_module("agents.serve", run_name="__main__", alter_sys=True)
"""


def files(exported, *kinds):
    return [str(exported[kind][1]) for kind in kinds]


def requests_in(folder):
    lines = [line for path in sorted(folder.glob("decisions-*.jsonl")) for line in path.read_bytes().splitlines()]
    return [json.loads(line)["request"] for line in lines]


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_it_runs_without_torch_is_asked_by_the_example_and_its_log_gives_a_verdict(exported, tmp_path, capsys):
    words, program = [*files(exported, "plain", "masked"), "--share-b", "0.5"], [sys.executable, "-c", WITHOUT_TORCH]
    with served(words, program, cwd=tmp_path, env=environment()) as (process, url):
        ab_deployment.main([url, "--requests", "40", "--seed", "3"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    shown = capsys.readouterr().out
    log = read_log(tmp_path / "serving" / "decisions-0001.jsonl")
    assert (len(log.a.returns) + len(log.b.returns), log.skipped_lines) == (40, "")
    assert f"B: {len(log.b.returns)} answers, mean return {log.b.returns.mean():+.3f}" in shown


class Asking(threading.Thread):
    """Asks until the service is gone, and remembers the requests that were answered."""

    def __init__(self, url, name):
        super().__init__()
        self.url, self.prefix, self.answered, self.refused = url, name, [], []

    def run(self):
        try:
            with Client(self.url) as client:
                for number in range(100_000):
                    request = f"{self.prefix}-{number}"
                    client.say(request, number)
                    self.answered.append(request)
        except ValueError as error:
            self.refused.append(str(error))
        except (OSError, HTTPException):
            return  # the service has ended


def test_sigterm_ends_what_is_in_flight_and_exits_with_0(exported, tmp_path):
    with served(files(exported, "plain"), cwd=tmp_path, env=environment()) as (process, url):
        clients = [Asking(url, name) for name in "abcd"]
        for client in clients:
            client.start()
        wait_until(lambda: all(len(client.answered) > 5 for client in clients), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        for client in clients:
            client.join()
    answered = {request for client in clients for request in client.answered}
    logged = requests_in(tmp_path / "serving")
    assert [client.refused for client in clients] == [[]] * 4
    assert answered <= set(logged)
    assert len(logged) == len(set(logged)) <= len(answered) + len(clients)  # an answer may get lost on its way


def test_a_draining_service_says_so_and_still_answers(exported, tmp_path):
    words = [*files(exported, "plain"), "--drain-s", "2"]
    with served(words, cwd=tmp_path, env=environment()) as (process, url):
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: call(f"{url}/readyz")[0] == 503, process)
        assert call(f"{url}/v1/say", {"problem": 1})[0] == 200
        assert process.wait(60) == 0


def test_every_answer_before_a_kill_is_in_the_log_and_the_next_start_goes_on(exported, tmp_path):
    answered = set()
    for kill in range(KILLS):
        with served(files(exported, "plain", "other"), cwd=tmp_path, env=environment()) as (process, url):
            clients = [Asking(url, f"{kill}{name}") for name in "ab"]
            for client in clients:
                client.start()
            wait_until(lambda clients=clients: all(len(client.answered) > 5 for client in clients), process)
            time.sleep(0.05 * kill)
            process.kill()
            for client in clients:
                client.join()
            answered |= {request for client in clients for request in client.answered}
            with (tmp_path / "serving" / "decisions-0001.jsonl").open("ab") as file:
                file.write(b'{"request": "half a li')  # as a kill in the middle of a line would leave it
    with served(files(exported, "plain", "other"), cwd=tmp_path, env=environment()) as (process, url):
        assert call(f"{url}/v1/say", {"problem": 1, "request": "last"})[0] == 200
    logged = requests_in(tmp_path / "serving")
    assert answered | {"last"} <= set(logged)
    assert len(logged) == len(set(logged))
    assert len(answered) > 10 * KILLS


def test_a_body_that_does_not_come_is_given_up(exported, tmp_path):
    import socket

    with served([*files(exported, "plain"), "--timeout-s", "0.3"], cwd=tmp_path, env=environment()) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"POST /v1/say HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_requests_beyond_the_limit_are_sent_away_and_come_back(exported, tmp_path):
    words = [*files(exported, "plain"), "--max-requests", "1", "--timeout-s", "2"]
    import socket

    with served(words, cwd=tmp_path, env=environment()) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"POST /v1/say HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            wait_until(lambda: call(f"{url}/v1/say", {"problem": 1})[0] == 503)
            assert call(f"{url}/healthz")[0] == 200
        wait_until(lambda: call(f"{url}/v1/say", {"problem": 1})[0] == 200)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none.onnx", "there is no file 'none.onnx'"),
        ("nonsense.onnx", "'nonsense.onnx' is not a model of python -m agents.export"),
        ("PLAIN --share-b 0.5", "there is no model B"),
        ("PLAIN PLAIN --share-b 2", "share_b is 2; it must be from 0 to 1."),
        ("PLAIN --host 203.0.113.1", "cannot listen on 203.0.113.1, port 8000"),
        ("PLAIN --token-file none", "cannot read the token in 'none'"),
        ("PLAIN --folder nonsense.onnx", "cannot make 'nonsense.onnx/models'"),
        ("run", "cannot export 'run': "),
    ],
)
def test_what_cannot_be_served_is_refused(exported, tmp_path, words, message):
    (tmp_path / "nonsense.onnx").write_bytes(b"nonsense")
    (tmp_path / "run").mkdir()
    words = words.replace("PLAIN", str(exported["plain"][1])).split()
    out = subprocess.run(
        python("agents.serve", *words), cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert out.returncode == 2, out.stderr
    assert out.stderr.startswith("error: ")
    assert message in out.stderr
