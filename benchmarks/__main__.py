"""Run a benchmark: `python -m benchmarks speed env`."""

from typing import Annotated

import typer

from agents.console import guarded, make_app, stdout_console
from benchmarks import speed_env
from token_env.errors import find

app = make_app()
SPEED = {"env": speed_env.speed_table}


@app.callback()
def benchmarks() -> None:
    """Measure speed."""


@app.command()
@guarded
def speed(
    subject: Annotated[str, typer.Argument(help="env")],
    repeats: Annotated[int, typer.Option(min=1, help="how often every case is measured, in turn")] = 5,
) -> None:
    """Print how fast something is: medians of interleaved repeats."""
    stdout_console().print(find("subject", subject, SPEED)(repeats))


if __name__ == "__main__":
    app()
