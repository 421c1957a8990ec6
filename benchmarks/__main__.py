"""Run benchmarks and show their results as tables, plots and one HTML page: `python -m benchmarks report --open`."""

import sys
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.cli.console import WRONG_INPUT, handle_errors, make_app, stdout_console
from benchmarks import stand_alone
from benchmarks.claims.evidence import read_evidence
from benchmarks.claims.judge import judge_evidence, markdown_text, terminal_text
from benchmarks.claims.recommendations import recommend
from benchmarks.files import NEW_RESULTS, RESULTS, results_option
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.results_file import Rows, read_rows
from benchmarks.measures.summary import long_table
from benchmarks.pages.documents import write_claims, write_learning, write_pages
from benchmarks.pages.equivalence import equivalence_table
from benchmarks.pages.learning import learning_text
from benchmarks.pages.plots import write_plots
from benchmarks.pages.table import caption, fit_console, markdown_table, table_text
from benchmarks.report import write_report
from benchmarks.runner.harness import EXECUTORS, run_benchmark
from benchmarks.stand_alone import TextFormat
from benchmarks.suite.cases import BENCHMARKS, CLAIMS, FAST_VS_STABLE, HEADS, LEARNING, find_benchmark
from token_env.errors import SettingError, find

app = make_app()
FAILED = 1
WIDE = 230  # characters per line when the output is not a terminal

Name = Annotated[str, typer.Argument(metavar="BENCHMARK", help=", ".join(BENCHMARKS))]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="directory of the results files")]
CaseNames = Annotated[
    list[str] | None, typer.Option("--case", metavar="CASE", help="only this case, such as fast/preset; repeatable")
]


class Format(StrEnum):
    """Output formats of the table."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


@app.callback()
def benchmarks() -> None:
    """Compare sizes and settings over seeds; measure speed and the coverage of intervals."""


@app.command()
@handle_errors
def run(
    benchmark: Name,
    seeds: Annotated[int, typer.Option(min=1, help="number of runs per case; seeds count from 0")] = 10,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="number of parallel runs, each on one thread; default 1, on Ray one per CPU"),
    ] = None,
    cases: CaseNames = None,
    results: Results = NEW_RESULTS,
    runs: Annotated[Path, typer.Option(metavar="DIR", help="parent of the run directories")] = Path("runs/benchmarks"),
    executor: Annotated[str, typer.Option(help=", ".join(EXECUTORS))] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="head of the Ray cluster; default: the cluster this machine belongs to"),
    ] = None,
) -> None:
    """Train and evaluate the missing runs; repeat the command to continue after an interruption."""
    try:
        failed = run_benchmark(benchmark, results, runs, seeds, workers, cases, executor, address)
    except KeyboardInterrupt:
        print("finished runs are kept; repeat the command to continue.", file=sys.stderr)
        raise
    if failed:
        jobs = ", ".join(str(job) for job in failed)
        print(f"{len(failed)} runs failed: {jobs}. Repeat the command to retry them.", file=sys.stderr)
        raise typer.Exit(FAILED)
    next_command = benchmark if benchmark in (CLAIMS, LEARNING) else f"table {benchmark}"
    print(f"python -m benchmarks {next_command}{results_option(results)}")


@app.command()
@handle_errors
def table(
    benchmark: Name = FAST_VS_STABLE,
    form: Annotated[Format, typer.Option("--format", help="csv holds unrounded numbers")] = Format.terminal,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="only this row; repeatable")
    ] = None,
    cases: CaseNames = None,
    results: Results = RESULTS,
    readme: Annotated[
        bool, typer.Option("--readme", help="write the committed results into README.md and the pages of docs/")
    ] = False,
) -> None:
    """Show the results of a benchmark beside the figures of the original report."""
    if readme:
        if (benchmark, form, metrics, cases, results) != (FAST_VS_STABLE, Format.terminal, None, None, RESULTS):
            raise SettingError("--readme writes the committed results of fast-vs-stable; leave the other options out.")
        for path in write_pages():
            print(f"wrote {path}")
        return
    rows = _select_cases(read_rows(benchmark, results), benchmark, cases)
    definition, data = find_benchmark(benchmark), frame(benchmark, rows.accepted)
    columns = [find("metric", name, METRICS) for name in metrics] if metrics else list(METRICS.values())
    if form is Format.csv:
        print(long_table(data, columns, definition.compared_cases).to_csv(index=False), end="")
    elif form is Format.markdown:
        print(f"{markdown_table(table_text(definition, data, columns, with_iqm=True))}\n\n{caption(rows.accepted)}")
    else:
        console = stdout_console()
        wide = console if console.is_terminal else Console(width=WIDE, markup=False)
        for part in fit_console(wide, table_text(definition, data, columns), definition.title):
            wide.print(part)
        wide.print(caption(rows.accepted), highlight=False, markup=False)
    if rows.warning:
        print(rows.warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@handle_errors
def equivalence(
    benchmark: Name = HEADS,
    results: Results = RESULTS,
) -> None:
    """Test whether the other cases of a benchmark learn as much as the first: 90 % intervals within ±0.1."""
    rows = read_rows(benchmark, results)
    print(equivalence_table(frame(benchmark, rows.accepted)))
    if rows.warning:
        print(rows.warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@handle_errors
def claims(
    form: Annotated[TextFormat, typer.Option("--format")] = TextFormat.terminal,
    results: Results = RESULTS,
    readme: Annotated[
        bool,
        typer.Option("--readme", help="write the committed results' verdicts into the pages of claims and questions"),
    ] = False,
) -> None:
    """Show a verdict on every claim of the original report, and recommendations based on the runs."""
    if readme:
        if (form, results) != (TextFormat.terminal, RESULTS):
            raise SettingError("--readme writes the committed results; leave the other options out.")
        for path in write_claims():
            print(f"wrote {path}")
        return
    evidence = read_evidence(results)
    verdicts = judge_evidence(evidence)
    text = markdown_text if form is TextFormat.markdown else terminal_text
    print(text(verdicts, recommend(evidence, verdicts)))
    if evidence.warning:
        print(evidence.warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@handle_errors
def learning(
    results: Results = RESULTS,
    readme: Annotated[
        bool,
        typer.Option("--readme", help="write the committed results into the page on learning, and draw its picture"),
    ] = False,
) -> None:
    """Show what each head and each part of the planning head learns, as Markdown."""
    if readme:
        if results != RESULTS:
            raise SettingError("--readme writes the committed results; leave the other options out.")
        for path in write_learning():
            print(f"wrote {path}")
        return
    rows = read_rows(LEARNING, results)
    print(learning_text(rows.accepted))
    if rows.warning:
        print(rows.warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


def _select_cases(rows: Rows, benchmark: str, cases: list[str] | None) -> Rows:
    """Return the rows of these cases; all rows if `cases` is None."""
    if not cases:
        return rows
    names = [find_benchmark(benchmark).find_case(name).name for name in cases]
    selected = [row for row in rows.accepted if row.case in names]
    if not selected:
        raise SettingError(f"there are no results of {', '.join(names)} in {str(rows.path)!r}.")
    return rows._replace(accepted=selected)


@app.command()
@handle_errors
def plots(
    benchmark: Name = FAST_VS_STABLE,
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(metavar="DIR", help="directory of the plots")] = Path("runs/plots"),
) -> None:
    """Draw learning and loss curves, reward progression, rarity and speed, as PNG and SVG."""
    rows = read_rows(benchmark, results)
    for path in write_plots(find_benchmark(benchmark), rows.accepted, out):
        print(f"wrote {path}")
    if rows.warning:
        print(rows.warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@handle_errors
def report(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(metavar="FILE", help="HTML file to write")] = Path("runs/report.html"),
    show: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
) -> None:
    """Write all results as one HTML page that works offline; nothing is trained."""
    warning = write_report(results, out)
    print(f"wrote {out}")
    if show:
        webbrowser.open(out.absolute().as_uri())
    if warning:
        print(warning, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


app.add_typer(stand_alone.app)

if __name__ == "__main__":
    app()
