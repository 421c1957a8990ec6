"""The HTTP interface of a service."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from agents.serving.bodies import ActAnswer, ActRequest, Problem, SayAnswer, SayRequest, Status, sentence_of
from agents.serving.limits import LimitedApp, Limits
from agents.serving.rollout import Change
from agents.serving.service import Service
from token_env.errors import SettingError

PAGE = Path(__file__).parent / "page" / "index.html"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON that can be read."},
    408: {"model": Problem, "description": "The body did not arrive in time."},
    413: {"model": Problem, "description": "The body or the number of observations is too large."},
    422: {"model": Problem, "description": "The body is JSON, but cannot be used."},
    503: {"model": Problem, "description": "Too many requests at a time, or the log or state cannot be written."},
    504: {"model": Problem, "description": "The request was not answered in time."},
}
UNAUTHORIZED: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "The service was started without a token."},
}
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "Not ready."}}


def make_app(service: Service, limits: Limits, token: str | None = None) -> FastAPI:
    """Return the ASGI application of a service.

    Args:
        service: The service.
        limits: Limits of its requests.
        token: Secret that POST /v1/rollout requires; None to refuse all of these.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.ready = True
        yield
        service.ready = False
        await service.finish()

    app = FastAPI(
        title="tokentask", description="Trained agents of tokentask.", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    _add_health(app, service)
    _add_answers(app, service, limits)
    _add_rollout(app, service, token)
    _add_errors(app)
    paths = frozenset(app.openapi()["paths"])
    app.add_middleware(LimitedApp, limits=limits, metrics=service.metrics, paths=paths)
    return app


def _add_health(app: FastAPI, service: Service) -> None:
    page = PAGE.read_text(encoding="utf-8")

    @app.get("/", response_class=HTMLResponse, summary="A page to type messages in")
    async def root() -> HTMLResponse:
        return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})

    @app.get("/healthz", response_model=Problem, summary="Whether the process is alive")
    async def healthz() -> Response:
        return JSONResponse({"detail": "alive"})

    @app.get("/readyz", response_model=Problem, responses=NOT_READY, summary="Whether requests are welcome")
    async def readyz() -> Response:
        if service.ready:
            return JSONResponse({"detail": "ready"})
        return JSONResponse({"detail": "starting or ending"}, 503)

    @app.get("/metrics", response_class=Response, summary="Metrics in Prometheus' format")
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": METRICS_TYPE})


def _add_answers(app: FastAPI, service: Service, limits: Limits) -> None:
    @app.post("/v1/say", response_model=SayAnswer, responses=REFUSALS, summary="Answer a message")
    async def say(body: SayRequest, request: Request) -> Response:
        return _answer(request, await service.say(body, request.state.started))

    @app.post("/v1/act", response_model=ActAnswer, responses=REFUSALS, summary="Choose the next tokens of episodes")
    async def act(body: ActRequest, request: Request) -> Response:
        if len(body.observations) > limits.rows:
            raise HTTPException(
                413,
                f"{len(body.observations):,} observations came in one request; at most {limits.rows:,} are allowed.",
            )
        return _answer(request, await service.act(body, request.state.started))


def _add_rollout(app: FastAPI, service: Service, token: str | None) -> None:
    @app.get("/v1/rollout", response_model=Status, responses={503: REFUSALS[503]}, summary="What is deployed")
    async def status() -> Response:
        return JSONResponse(service.status())

    @app.post(
        "/v1/rollout", response_model=Status, responses=REFUSALS | UNAUTHORIZED, summary="Change what is deployed"
    )
    async def change(body: Change, authorization: Annotated[str, Header()] = "") -> Response:
        if token is None:
            raise HTTPException(403, "this service changes nothing: it was started without --token-file.")
        bearer = authorization.removeprefix("Bearer ").encode("utf-8", "replace")
        if not hmac.compare_digest(bearer, token.encode()):
            raise HTTPException(401, "send the header Authorization: Bearer TOKEN.", {"www-authenticate": "Bearer"})
        await service.change(body)
        return JSONResponse(service.status())


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(SettingError)
    async def setting(_: Request, error: SettingError) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": sentence_of(list(error.errors()))}, 422)

    @app.exception_handler(OSError)
    async def system(_: Request, error: OSError) -> Response:
        return JSONResponse({"detail": f"the log or the state cannot be written: {error.strerror or error}."}, 503)


def _answer(request: Request, content: dict[str, Any]) -> Response:
    request.state.variant = content["variant"]
    return Response(to_json(content), media_type="application/json")
