"""Serve exported models over HTTP: `python -m agents.serve A.onnx B.onnx --share-b 0.1`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command
from token_env.errors import SettingError

TOKEN_VARIABLE = "TOKENTASK_TOKEN"
PACKAGES = (
    "serving needs FastAPI, uvicorn, onnxruntime and prometheus_client; type pip install -c constraints.txt '.[serve]'."
)


def serve(
    a: Annotated[str, typer.Argument(metavar="A", help="ONNX file of python -m agents.export, or directory of a run")],
    b: Annotated[str | None, typer.Argument(metavar="B", help="second model")] = None,
    share_b: Annotated[float, typer.Option(help="share of the requests that B answers, from 0 to 1")] = 0.0,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="let B answer every request, too; its answers are logged, never returned")
    ] = False,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for all of the machine")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 for a free one")] = 8000,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="state, logs, and models to load")] = Path("serving"),
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"secret that POST /v1/rollout requires [default: ${TOKEN_VARIABLE}]"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="largest number of rows in a call of a model")] = 64,
    batch_delay_ms: Annotated[
        float, typer.Option(min=0, help="time that an idle model waits for more requests, if the last came together")
    ] = 0.0,
    max_requests: Annotated[int, typer.Option(min=1, help="requests at a time; more get 503")] = 1000,
    max_body_kb: Annotated[int, typer.Option(min=1, help="size of a request; larger ones get 413")] = 1000,
    max_rows: Annotated[int, typer.Option(min=1, help="observations in a request; more get 413")] = 1000,
    timeout_s: Annotated[float, typer.Option(min=0.01, help="time to receive and to answer a request")] = 10.0,
    drain_s: Annotated[
        float, typer.Option(min=0, help="time between SIGTERM, from which /readyz says no, and the last request")
    ] = 0.0,
) -> None:
    """Get a service that answers over HTTP, logs every decision, and changes its models without a restart."""
    try:
        from agents.serving.limits import Limits
        from agents.serving.player import Batching
        from agents.serving.server import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("agents", "token_env"):
            raise
        raise SettingError(PACKAGES) from error
    files = [_model_file(target, folder / "models") for target in (a, b) if target is not None]
    limits = Limits(max_requests, 1000 * max_body_kb, timeout_s, max_rows)
    run(
        files, (share_b, shadow), folder, (host, port), Batching(batch_size, batch_delay_ms), limits,
        token=_read_token(token_file), drain_s=drain_s,
    )  # fmt: skip


def _model_file(target: str, folder: Path) -> Path:
    """Return the ONNX file of a target; a run is exported into the folder of models, by a process of its own."""
    path = Path(target)
    if not path.is_dir():
        return path
    exported = folder / f"{path.resolve().name}.onnx"
    weights = path / "model.safetensors"
    if exported.exists() and weights.exists() and exported.stat().st_mtime > weights.stat().st_mtime:
        return exported
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "agents.export", target, "--format", "onnx", "--out", str(exported)]
    export = subprocess.run(words, capture_output=True, text=True)
    if export.returncode:
        reason = (export.stderr.strip().splitlines() or ["it failed"])[-1].removeprefix("error: ")
        raise SettingError(f"cannot export {target!r}: {reason}")
    print(export.stdout, end="", file=sys.stderr)
    return exported


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read the token in {str(path)!r}: {error}.") from error
    if not token:
        raise SettingError(f"{str(path)!r} holds no token; write one line of random letters into it.")
    return token


if __name__ == "__main__":
    run_command(serve)
