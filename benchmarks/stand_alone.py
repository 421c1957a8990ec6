"""Measure speed, the coverage of intervals, reference policies, and an agent's English."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Group
from rich.table import Table

from agents.cli.console import handle_errors, make_app, stdout_console
from agents.runs.json_files import write_json, write_text
from agents.runs.model_files import load
from benchmarks.measures import unlike_arms
from benchmarks.published import coverage as coverage_study
from benchmarks.published import english
from benchmarks.published.references import LANGUAGES, PROBLEMS, reference_table
from benchmarks.published.references import measure as measure_references
from benchmarks.speed import device, environment, overheads, policies, serving, solver, training
from benchmarks.speed.markdown import markdown_text as speed_markdown
from token_env import SIZES
from token_env.errors import SettingError, find

app = make_app()
SPEED: dict[str, Callable[[int], Table | Group]] = {
    "env": environment.speed_table,
    "solver": solver.speed_table,
    "train": training.speed_tables,
    "device": device.speed_tables,
    "policies": policies.speed_table,
    "runs": overheads.speed_table,
}


class TextFormat(StrEnum):
    """Output formats of text."""

    terminal = "terminal"
    markdown = "markdown"


@app.command()
@handle_errors
def speed(
    subject: Annotated[str, typer.Argument(help=", ".join(SPEED))],
    repeats: Annotated[int, typer.Option(min=1, help="number of measurements per case, interleaved")] = 3,
    growth: Annotated[bool, typer.Option("--growth", help="train only: speed and memory by vocabulary size")] = False,
    all_cores: Annotated[
        bool,
        typer.Option("--all-cores", help="train only: by the clock, with the threads each trainer uses by default"),
    ] = False,
    form: Annotated[TextFormat, typer.Option("--format")] = TextFormat.terminal,
) -> None:
    """Measure environments, solver, training, devices, our policies or whole runs: medians of interleaved repeats."""
    make_table = find("subject", subject, SPEED)
    if subject != "train" and (growth or all_cores):
        option = "--growth" if growth else "--all-cores"
        raise SettingError(
            f"{option} belongs to train, not to {subject}; type python -m benchmarks speed train {option}."
        )
    if growth and all_cores:
        raise SettingError("--growth measures one core; leave out --all-cores.")
    if subject == "train":
        make_table = training.growth_table if growth else partial(training.speed_tables, all_cores=all_cores)
    measured = make_table(repeats)
    if form is TextFormat.markdown:
        print(speed_markdown(measured))
    else:
        stdout_console().print(measured)


@app.command("load")
@handle_errors
def load_test(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL.onnx", help="exported models, each measured alone")],
    seconds: Annotated[float, typer.Option(min=0.5, max=20, help="length of each measurement")] = 10.0,
    connections: Annotated[int, typer.Option(min=1, max=512, help="requests at a time")] = serving.CONNECTIONS,
    form: Annotated[TextFormat, typer.Option("--format")] = TextFormat.terminal,
) -> None:
    """Measure answers a second and latencies of services on this machine, with and without batches."""
    measured = serving.load_table(models, seconds, connections)
    if form is TextFormat.markdown:
        print(speed_markdown(measured))
    else:
        stdout_console().print(measured)


@app.command()
@handle_errors
def coverage(
    trials: Annotated[int, typer.Option(min=1, help="number of samples per figure")] = 10_000,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV file for the figures")] = None,
) -> None:
    """Measure how often the 95 % intervals over seeds contain the truth."""
    _check_out(out)
    measured, unlike = coverage_study.coverage(trials), unlike_arms.coverage(trials)
    if out:
        write_text(out, pd.concat([measured, unlike]).to_csv(index=False))
    print(f"{coverage_study.coverage_table(measured)}\n\n{unlike_arms.unlike_table(unlike)}")


@app.command()
@handle_errors
def references(
    sizes: Annotated[list[str] | None, typer.Option("--size", help="only this size; repeatable")] = None,
    problems: Annotated[int, typer.Option(min=2, help="number of test problems")] = PROBLEMS,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV file for the figures")] = None,
) -> None:
    """Measure the returns of the reference policies and the optimum in every size and language."""
    for size in sizes or []:
        find("size", size, SIZES)
    _check_out(out)
    measured = measure_references(sizes or SIZES, problems=problems)
    if out:
        write_text(out, measured.to_csv(index=False))
    for language in LANGUAGES:
        print(f"\n{language}\n{reference_table(measured, language)}")


@app.command()
@handle_errors
def paraphrases(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run trained with --language english")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON file for the messages")] = None,
) -> None:
    """Show English messages with their best paraphrase and an agent's paraphrase."""
    _check_out(out)
    messages = english.paraphrases(load(run))
    if out:
        write_json(out, messages)
    print(english.paraphrase_text(messages))


def _check_out(out: Path | None) -> None:
    """Reject an output file without a parent directory before measuring anything."""
    if out and not out.absolute().parent.is_dir():
        raise SettingError(f"cannot write {str(out)!r}: there is no directory {str(out.parent)!r}.")
