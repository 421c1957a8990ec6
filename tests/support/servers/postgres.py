"""A PostgreSQL server of the tests' own: another user than root, an empty folder, a free port; and a proxy."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"  # that runs it where the tests run as root, as PostgreSQL refuses to
SECONDS = 60.0  # to start and to stop


def why_not() -> str | None:
    """Why no server can be started here; None if one can."""
    if programs() is None:
        return "PostgreSQL is not installed; type apt-get install postgresql"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"PostgreSQL does not run as root, and there is no user {USER!r}"
    return None


def programs() -> Path | None:
    """Where initdb and postgres are; Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database on a server that runs meanwhile."""
    user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, bin_folder = Path(name), programs()
        assert bin_folder
        (folder / "password").write_text("secret")
        if user:
            shutil.chown(folder, USER, USER)
            shutil.chown(folder / "password", USER, USER)
        making = ["-D", "data", "-U", "tester", "--auth=scram-sha-256", "--pwfile=password", "--encoding=UTF8"]
        subprocess.run(
            [bin_folder / "initdb", *making, "--no-sync"], cwd=folder, check=True, capture_output=True, **user
        )
        port = free_port()
        options = ["-D", "data", "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        process = subprocess.Popen(
            [bin_folder / "postgres", *options],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,
        )
        try:
            _wait_for(port)
            yield f"postgresql://tester:secret@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # disconnects clients
            process.wait(SECONDS)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def proxied(database: str) -> Iterator[str]:
    """The URL of a proxy that stands before a database meanwhile."""
    from optuna.storages._grpc.server import make_server

    from agents.tuning.storages import complete_url, open_storage

    port = free_port()
    with open_storage(complete_url(database, "x")) as storage:
        server = make_server(storage, "localhost", port, ThreadPoolExecutor(4))
        server.start()
        yield f"grpc://localhost:{port}"
        server.stop(None).wait()


def _wait_for(port: int) -> None:
    import psycopg

    until = time.monotonic() + SECONDS
    while True:
        try:
            psycopg.connect(f"postgresql://tester:secret@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.1)
