"""Run a benchmark: `python -m benchmarks speed env`, `python -m benchmarks coverage`."""

from pathlib import Path
from typing import Annotated

import typer

from agents import run_dir
from agents.console import guarded, make_app, stdout_console
from benchmarks import coverage as coverage_study
from benchmarks import speed_env
from token_env.errors import SettingError, find

app = make_app()
SPEED = {"env": speed_env.speed_table}


@app.callback()
def benchmarks() -> None:
    """Measure speed, and how far the statistics can be trusted."""


@app.command()
@guarded
def speed(
    subject: Annotated[str, typer.Argument(help="env")],
    repeats: Annotated[int, typer.Option(min=1, help="how often every case is measured, in turn")] = 5,
) -> None:
    """Print how fast something is: medians of interleaved repeats."""
    stdout_console().print(find("subject", subject, SPEED)(repeats))


@app.command()
@guarded
def coverage(
    trials: Annotated[int, typer.Option(min=1, help="samples drawn for every figure")] = 10_000,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the figures there, as CSV")] = None,
) -> None:
    """Measure how often the intervals over seeds hold what they promise."""
    if out and not out.absolute().parent.is_dir():
        raise SettingError(f"cannot write {str(out)!r}: there is no directory {str(out.parent)!r}.")
    measured = coverage_study.coverage(trials)
    if out:
        run_dir.write_text(out, measured.to_csv(index=False))
    print(coverage_study.coverage_table(measured))


if __name__ == "__main__":
    app()
