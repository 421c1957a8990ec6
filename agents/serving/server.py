"""Run a service in this process until a signal ends it."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from agents.serving.app import make_app
from agents.serving.limits import Limits
from agents.serving.player import Batching
from agents.serving.rollout import Folder, ModelStore, Stage
from agents.serving.service import Service
from token_env.errors import SettingError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SWITCH_S = 0.0005  # seconds that a model's thread waits for the interpreter when its call has ended
GRACE_S = 5.0  # seconds beyond the time limit of requests until open ones are given up at the end
CONNECTIONS_PER_REQUEST = 4  # connections that may be open for each request that may be


class Server(uvicorn.Server):
    """A server that says that it is not ready before it ends.

    Args:
        config: uvicorn's settings.
        service: The service.
        drain_s: Seconds between the first signal and the end.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain_s: float) -> None:
        super().__init__(config)
        self._service, self._drain_s = service, drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at the first signal, after the time to drain; at once at the second."""
        if not self._service.ready or not self._drain_s:
            super().handle_exit(sig, frame)
        else:
            asyncio.get_event_loop().call_later(self._drain_s, super().handle_exit, sig, frame)
        self._service.ready = False


def run(
    files: list[Path],
    split: tuple[float, bool],
    folder: Path,
    address: tuple[str, int],
    batching: Batching,
    limits: Limits,
    *,
    token: str | None,
    drain_s: float,
) -> None:
    """Serve models until SIGTERM or SIGINT.

    Args:
        files: ONNX files of model A, and of model B if there is one.
        split: Share of the requests that B answers, and whether B answers in the shadow.
        folder: Directory of state, logs, and models to load.
        address: Host and port to listen on; port 0 for a free one.
        batching: How requests share the calls of a model.
        limits: Limits of requests.
        token: Secret that changes require; None to refuse changes.
        drain_s: Seconds between SIGTERM and the end.

    Raises:
        SettingError: A model, the folder or the address cannot be used.
    """
    place = Folder(folder)
    place.make()
    store = ModelStore(files, place.models)
    a, *others = (store.read(path).checksum for path in files)
    command = Stage(a=a, b=others[0] if others else None, share_b=split[0], shadow=split[1])
    try:
        service = Service(store, place, command, batching, limits.open_requests)
    except OSError as error:
        raise SettingError(f"cannot write into {str(folder)!r}: {error.strerror}; type --folder DIR.") from error
    listening = _listen(address)
    config = uvicorn.Config(
        make_app(service, limits, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=CONNECTIONS_PER_REQUEST * limits.open_requests,
        timeout_graceful_shutdown=int(limits.seconds + GRACE_S),
    )
    _announce(service, command, listening, folder)
    for number in SIGNALS:  # uvicorn raises a signal again after a clean end; then this process exits with code 0
        signal.signal(number, lambda *_: None)
    sys.setswitchinterval(SWITCH_S)
    Server(config, service, drain_s).run(sockets=[listening])


def _listen(address: tuple[str, int]) -> socket.socket:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise SettingError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; type another --port; 0 takes a free one."
        ) from error
    return listening


def _announce(service: Service, command: Stage, listening: socket.socket, folder: Path) -> None:
    host, port = listening.getsockname()[:2]
    rollout = service.live.rollout
    stage = rollout.current
    print(f"http://{host}:{port}  A {stage.a[:12]}  B {stage.b[:12] if stage.b else 'none'}", file=sys.stderr)
    if stage != command:
        print(
            f"continuing the state in {str(folder)!r}: {stage.share_b:.0%} for B, period {rollout.period}",
            file=sys.stderr,
        )
    log = folder / f"decisions-{rollout.period:04}.jsonl"
    print(f"decisions: {log}; for a verdict type python -m agents.evaluate --log {log}", file=sys.stderr, flush=True)
