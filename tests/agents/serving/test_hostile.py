"""Whatever is sent to a service gets a declared answer, takes little memory, and breaks nothing in the log."""

import json
import os
import random
import re
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import pytest

from tests.support.serving import call, served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from schemathesis.checks import not_a_server_error  # noqa: E402  # it is not installed everywhere
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

ROOT = Path(__file__).parents[3]
LONG = bool(os.environ.get("SOAK"))
BODIES = 1_000 if LONG else 100
EXAMPLES = 500 if LONG else 15
DECLARED = {200, 400, 401, 403, 404, 405, 408, 413, 422, 503, 504}
MEMORY = 150e6  # bytes by which a service may grow: bodies of 1 MB, parsed, several at a time
TIMEOUT_S = 2.0


@pytest.fixture(scope="module")
def address(exported, tmp_path_factory):
    """The address and the folder of a service with a token and two models."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "token").write_text("a secret\n")
    words = [str(exported[kind][1]) for kind in ("plain", "other")]
    words += ["--share-b", "0.5", "--token-file", str(folder / "token"), "--timeout-s", str(TIMEOUT_S)]
    with served(words, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}) as (_, url):
        yield url, folder / "serving"


@pytest.fixture(scope="module")
def described(address):
    return schemathesis.openapi.from_url(f"{address[0]}/openapi.json")


PATHS = ["GET /", "GET /healthz", "GET /readyz", "GET /metrics", "POST /v1/say", "POST /v1/act"]


@pytest.mark.parametrize("operation", [*PATHS, "GET /v1/rollout", "POST /v1/rollout"])
def test_every_answer_is_as_the_description_says(described, operation):
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    method, path = operation.split()

    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck), database=None)
    @hypothesis.given(case=described[path][method].as_strategy())
    def validate(case):
        case.call_and_validate(checks=checks, headers={"authorization": "Bearer a secret"})

    validate()


def metric(url, name):
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:
        return float(re.search(rf"^{name} (\S+)", response.read().decode(), re.MULTILINE)[1])


def hostile_body(generator):
    """A body of one of many kinds: not numbers, enormous, nested, truncated, of wrong types."""
    number = generator.choice(["NaN", "Infinity", "-1e308", "1e308", "1e999", "null", '"1"', "{}", "[]", "9" * 5000])
    row = f"[{','.join([number] * generator.choice([1, 16, 51]))}]"
    kinds = [
        lambda: f'{{"observations": [{",".join([row] * generator.choice([1, 3]))}]}}',
        lambda: f'{{"meanings": [{row}]}}',
        lambda: f'{{"problem": {number}}}',
        lambda: '{"observations": [' + "[0]," * generator.choice([10, 200_000]) + "[0]]}",
        lambda: generator.choice(["[", '{"a":', '{"text":[']) * generator.choice([10, 100_000]),
        lambda: '{"text": "' + generator.choice(["\\ud800", "\\u0000", "a" * 900_000, "ü" * 100, "\\"]) + '"}',
        lambda: '{"problem": 1, "request": "' + generator.choice(["../../x", "\\n{}", "\\u2028", "\\ud83d"]) + '"}',
        lambda: json.dumps({"action": "load", "model": generator.choice(["../x", "http://x/", "0" * 64])}),
        lambda: '{"problem": 1, "problem": ' + number + ', "variant": ' + number + "}",
        lambda: generator.randbytes(generator.choice([1, 1000, 900_000])).decode("latin-1"),
    ]
    body = generator.choice(kinds)().encode()
    return body[: generator.randrange(1, len(body) + 1)] if generator.random() < 0.2 else body


def send(url, seed):
    """Send a hostile request, perhaps with a wrong length; return the status, or 0 if the connection was closed."""
    generator = random.Random(seed)
    body, path = hostile_body(generator), generator.choice(["say", "say", "act", "act", "rollout"])
    length = generator.choice([len(body)] * 12 + [10**7, 10**12, len(body) + 7, max(0, len(body) - 1)])
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer a secret\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        try:
            connection.sendall(head.encode() + body)
            answer = connection.recv(64)
        except ConnectionError:  # closed before everything was sent
            return 0
    return int(answer.split(b" ")[1]) if answer else 0


def test_hostile_bodies_break_nothing(address):
    url, folder = address
    assert call(f"{url}/v1/say", {"problem": 1})[0] == 200
    before = metric(url, "process_resident_memory_bytes")
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda seed: send(url, seed), range(BODIES)))
    assert set(codes) <= DECLARED | {0}
    assert {413, 422} <= set(codes)
    assert codes.count(0) <= BODIES / 10
    assert metric(url, "process_resident_memory_bytes") < before + MEMORY
    code, answer = call(f"{url}/v1/say", {"problem": 1, "request": "the last"})
    assert (code, len(answer["tokens"])) == (200, 8)
    lines = [json.loads(line) for path in folder.glob("decisions-*.jsonl") for line in path.read_bytes().splitlines()]
    assert lines[-1]["request"] in {line["request"] for line in lines}
    assert any(line["request"] == "the last" for line in lines)
