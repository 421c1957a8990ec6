"""Services as processes of their own."""

import json
import urllib.error
import urllib.request
from contextlib import contextmanager

from tests.support.processes import python, started, wait_until


def call(url, body=None, headers=None):
    """The code of a response, and its content."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | (headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@contextmanager
def served(words, program=None, **options):
    """A service at work on a free port: its process and its address; `program` stands for `python -m agents.serve`."""
    with started([*(program or python("agents.serve")), *words, "--port", "0"], **options) as process:
        lines = []
        wait_until(lambda: lines or lines.append(process.stderr.readline()) or lines, process)
        assert lines[0].startswith("http://"), lines[0] + process.stderr.read()
        url = lines[0].split()[0]
        wait_until(lambda: is_ready(url), process)
        yield process, url


def is_ready(url):
    """Whether the service takes requests."""
    try:
        return call(f"{url}/readyz")[0] == 200
    except OSError:
        return False
