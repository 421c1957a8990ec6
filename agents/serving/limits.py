"""Bound what requests can cost: open requests, bytes and time; count them, and answer each refusal with a sentence."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from agents.serving.metrics import Metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LIMITED = "/v1/"  # paths with limits
ROLLOUT = "/v1/rollout"  # which has no time limit: loading a model takes what it takes
BODIES_IN_MEMORY = 64  # largest bodies that may be in memory at a time


class Limits(NamedTuple):
    """The limits of a service."""

    open_requests: int = 1000  # requests that are being answered at a time; more get 503
    body_bytes: int = 1_000_000  # of one request; more get 413
    seconds: float = 10.0  # for a request to arrive (else 408), and to be answered (else 504)
    rows: int = 1000  # observations of one request; more get 413


class Refused(Exception):  # noqa: N818 (an answer, not an error of the program)
    """A request that a limit refuses.

    Attributes:
        code: HTTP status.
        sentence: What is wrong and what is allowed.
    """

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


class LimitedApp:
    """An ASGI application within limits, whose requests are counted.

    Args:
        app: The application.
        limits: The limits.
        metrics: Where requests are counted.
        paths: Paths that are counted by their names; all others count as "other".
    """

    def __init__(self, app: App, limits: Limits, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._limits, self._metrics, self._paths = app, limits, metrics, paths
        self._open, self._bytes = 0, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, path = time.perf_counter(), scope["path"]
        scope.setdefault("state", {}).update(started=started, variant="")
        code = 500

        async def counted_send(message: MutableMapping[str, Any]) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            if path.startswith(LIMITED):
                await self._limited(scope, receive, counted_send)
            else:
                await self._app(scope, receive, counted_send)
        finally:
            name, variant = path if path in self._paths else "other", scope["state"]["variant"]
            self._metrics.requests.labels(name, variant, str(code)).inc()
            if variant:
                self._metrics.latency.labels(name, variant).observe(time.perf_counter() - started)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._limits.open_requests:
            await _refuse(send, 503, f"{self._open:,} requests are being answered already; try again in a second.")
            return
        self._open += 1
        self._metrics.open.set(self._open)
        buffered = 0

        def buffer(size: int) -> None:
            nonlocal buffered
            buffered += size
            self._bytes += size
            if self._bytes > BODIES_IN_MEMORY * self._limits.body_bytes:
                raise Refused(503, "too many large requests at a time; try again in a second.")

        try:
            body = await self._body(scope, receive, buffer)
            await self._answered(scope, body, receive, send)
        except Refused as refusal:
            await _refuse(send, refusal.code, refusal.sentence)
        finally:
            self._open -= 1
            self._bytes -= buffered
            self._metrics.open.set(self._open)

    async def _body(self, scope: Scope, receive: Receive, buffer: Callable[[int], None]) -> bytes:
        largest = self._limits.body_bytes
        refusal = Refused(413, f"the body has more than {largest:,} bytes.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > largest:
            raise refusal
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request has ended before its body.")
                    parts.append(message.get("body", b""))
                    buffer(len(parts[-1]))
                    more = message.get("more_body", False)
                    if sum(map(len, parts)) > largest:
                        raise refusal
        except TimeoutError:
            raise Refused(408, f"the body has not arrived within {self._limits.seconds:g} seconds.") from None
        return b"".join(parts)

    async def _answered(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Let the application answer a request whose body is here, within the time limit."""
        pending = True
        has_begun = False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal pending
            if pending:
                pending = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        async def begun_send(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            async with asyncio.timeout(None if scope["path"] == ROLLOUT else self._limits.seconds):
                await self._app(scope, replay, begun_send)
        except TimeoutError:
            if has_begun:
                raise
            raise Refused(504, f"not answered within {self._limits.seconds:g} seconds.") from None


async def _refuse(send: Send, code: int, sentence: str) -> None:
    """Answer a refusal and end the connection, whose body may not have been read."""
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] + ([(b"retry-after", b"1")] if code == 503 else [])
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
