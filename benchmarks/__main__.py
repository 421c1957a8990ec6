"""Run a benchmark, show its table, draw its pictures, put all on one page: `python -m benchmarks report --open`."""

import sys
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.cli.console import WRONG_INPUT, guarded, make_app, stdout_console
from agents.runs.json_files import write_json, write_text
from agents.runs.model_files import load
from benchmarks.claims.evidence import read_evidence
from benchmarks.claims.judge import judged, markdown_text, terminal_text
from benchmarks.claims.recommendations import advise
from benchmarks.files import RESULTS
from benchmarks.measures.equivalence import equivalence_table
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.results_file import Rows, read_rows
from benchmarks.measures.summary import long_table
from benchmarks.pages.documents import write_claims, write_pages
from benchmarks.pages.plots import write_plots
from benchmarks.pages.table import caption, for_console, lines, markdown
from benchmarks.published import coverage as coverage_study
from benchmarks.published import english
from benchmarks.published.references import LANGUAGES, PROBLEMS, reference_table
from benchmarks.published.references import measure as measure_references
from benchmarks.report import write_report
from benchmarks.runner.harness import EXECUTORS, run_benchmark
from benchmarks.speed import environment, overheads, solver, training
from benchmarks.suite.cases import BENCHMARKS, CLAIMS, FAST_VS_STABLE, HEADS, find_benchmark
from token_env import SIZES
from token_env.errors import SettingError, find

app = make_app()
SPEED = {
    "env": environment.speed_table,
    "solver": solver.speed_table,
    "train": training.speed_tables,
    "runs": overheads.speed_table,
}
FAILED = 1
WIDE = 230  # columns of the table where there is no terminal

Name = Annotated[str, typer.Argument(metavar="BENCHMARK", help=", ".join(BENCHMARKS))]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="where the results are, or go")]
CaseNames = Annotated[
    list[str] | None, typer.Option("--case", metavar="CASE", help="only this case, such as fast/preset; repeatable")
]


class Format(StrEnum):
    """How the table is shown."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


class TextFormat(StrEnum):
    """How text is shown."""

    terminal = "terminal"
    markdown = "markdown"


@app.callback()
def benchmarks() -> None:
    """Compare sizes and settings over seeds; measure speed, and how far the statistics can be trusted."""


@app.command()
@guarded
def run(
    benchmark: Name,
    seeds: Annotated[int, typer.Option(min=1, help="runs of every case, from seed 0")] = 10,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="runs made side by side, each on one thread; without it one, on Ray one a cpu"),
    ] = None,
    cases: CaseNames = None,
    results: Results = RESULTS,
    runs: Annotated[Path, typer.Option(metavar="DIR", help="where the directories of the runs go")] = Path(
        "runs/benchmarks"
    ),
    executor: Annotated[str, typer.Option(help=", ".join(EXECUTORS))] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="of the Ray cluster; without it the one that this machine belongs to"),
    ] = None,
) -> None:
    """Make the runs that are missing; the same command again goes on where it stopped."""
    try:
        failed = run_benchmark(benchmark, results, runs, seeds, workers, cases, executor, address)
    except KeyboardInterrupt:
        print("what is finished is kept; the same command again goes on.", file=sys.stderr)
        raise
    if failed:
        named = ", ".join(str(job) for job in failed)
        print(f"{len(failed)} runs failed: {named}. The same command again tries them again.", file=sys.stderr)
        raise typer.Exit(FAILED)
    shown = CLAIMS if benchmark == CLAIMS else f"table {benchmark}"
    print(f"python -m benchmarks {shown}" + (f" --results {results}" if results != RESULTS else ""))


@app.command()
@guarded
def table(
    benchmark: Name = FAST_VS_STABLE,
    form: Annotated[Format, typer.Option("--format", help="csv has every figure as a number")] = Format.terminal,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="only this row; repeatable")
    ] = None,
    cases: CaseNames = None,
    results: Results = RESULTS,
    readme: Annotated[
        bool, typer.Option("--readme", help="write the committed results into README.md and docs/benchmark.md")
    ] = False,
) -> None:
    """Show what was measured, beside what was reported."""
    if readme:
        if (benchmark, form, metrics, cases, results) != (FAST_VS_STABLE, Format.terminal, None, None, RESULTS):
            raise SettingError("--readme writes the committed results of fast-vs-stable; leave the other options out.")
        for path in write_pages():
            print(f"wrote {path}")
        return
    rows = _chosen(read_rows(benchmark, results), benchmark, cases)
    declared, data = find_benchmark(benchmark), frame(benchmark, rows.good)
    shown = [find("metric", name, METRICS) for name in metrics] if metrics else list(METRICS.values())
    if form is Format.csv:
        print(long_table(data, shown, declared.contest).to_csv(index=False), end="")
    elif form is Format.markdown:
        print(f"{markdown(lines(declared, data, shown, with_middle=True))}\n\n{caption(rows.good)}")
    else:
        console = stdout_console()
        wide = console if console.is_terminal else Console(width=WIDE, markup=False)
        for drawn in for_console(wide, lines(declared, data, shown), declared.title):
            wide.print(drawn)
        wide.print(caption(rows.good), highlight=False, markup=False)
    if rows.complaint:
        print(rows.complaint, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@guarded
def equivalence(
    benchmark: Name = HEADS,
    results: Results = RESULTS,
) -> None:
    """Tell whether the other cases of a benchmark learn as much as the first: 90 % intervals within ±0.1."""
    rows = read_rows(benchmark, results)
    print(equivalence_table(frame(benchmark, rows.good)))
    if rows.complaint:
        print(rows.complaint, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@guarded
def claims(
    form: Annotated[TextFormat, typer.Option("--format")] = TextFormat.terminal,
    results: Results = RESULTS,
    readme: Annotated[
        bool, typer.Option("--readme", help="write the committed results into README.md and docs/claims.md")
    ] = False,
) -> None:
    """Tell of every claim of the report whether the runs support it, and what they recommend."""
    if readme:
        if (form, results) != (TextFormat.terminal, RESULTS):
            raise SettingError("--readme writes the committed results; leave the other options out.")
        for path in write_claims():
            print(f"wrote {path}")
        return
    evidence = read_evidence(results)
    found = judged(evidence)
    text = markdown_text if form is TextFormat.markdown else terminal_text
    print(text(found, advise(evidence, found)))
    if evidence.complaint:
        print(evidence.complaint, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


def _chosen(rows: Rows, benchmark: str, cases: list[str] | None) -> Rows:
    """The rows of these cases, of all if None."""
    if not cases:
        return rows
    names = [find_benchmark(benchmark).find_case(name).name for name in cases]
    chosen = [row for row in rows.good if row.case in names]
    if not chosen:
        raise SettingError(f"there are no results of {', '.join(names)} in {str(rows.path)!r}.")
    return rows._replace(good=chosen)


@app.command()
@guarded
def plots(
    benchmark: Name = FAST_VS_STABLE,
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the pictures go")] = Path("runs/plots"),
) -> None:
    """Draw learning and loss curves, reward progression, rarity and speed, as PNG and SVG."""
    rows = read_rows(benchmark, results)
    for path in write_plots(find_benchmark(benchmark), rows.good, out):
        print(f"wrote {path}")
    if rows.complaint:
        print(rows.complaint, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@guarded
def report(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(metavar="FILE", help="the page")] = Path("runs/report.html"),
    show: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
) -> None:
    """Write all results as one HTML page that opens without a network; nothing is run."""
    complaint = write_report(results, out)
    print(f"wrote {out}")
    if show:
        webbrowser.open(out.absolute().as_uri())
    if complaint:
        print(complaint, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT)


@app.command()
@guarded
def speed(
    subject: Annotated[str, typer.Argument(help=", ".join(SPEED))],
    repeats: Annotated[int, typer.Option(min=1, help="how often every case is measured, in turn")] = 3,
    growth: Annotated[
        bool, typer.Option("--growth", help="of train: how speed and memory change with the vocabulary")
    ] = False,
) -> None:
    """Print how fast something is: medians of interleaved repeats."""
    measured = find("subject", subject, SPEED)
    if growth and subject != "train":
        raise SettingError(
            f"--growth is measured of train, not of {subject}; type python -m benchmarks speed train --growth."
        )
    stdout_console().print((training.growth_table if growth else measured)(repeats))


@app.command()
@guarded
def coverage(
    trials: Annotated[int, typer.Option(min=1, help="samples drawn for every figure")] = 10_000,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the figures there, as CSV")] = None,
) -> None:
    """Measure how often the intervals over seeds hold what they promise."""
    _check_out(out)
    measured = coverage_study.coverage(trials)
    if out:
        write_text(out, measured.to_csv(index=False))
    print(coverage_study.coverage_table(measured))


@app.command()
@guarded
def references(
    sizes: Annotated[list[str] | None, typer.Option("--size", help="only this size; repeatable")] = None,
    problems: Annotated[int, typer.Option(min=2, help="test problems, from the first")] = PROBLEMS,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the figures there, as CSV")] = None,
) -> None:
    """Measure what the reference policies earn in every size and language, the optimum included."""
    for size in sizes or []:
        find("size", size, SIZES)
    _check_out(out)
    measured = measure_references(sizes or SIZES, problems=problems)
    if out:
        write_text(out, measured.to_csv(index=False))
    for language in LANGUAGES:
        print(f"\n{language}\n{reference_table(measured, language)}")


@app.command()
@guarded
def paraphrases(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run trained with --language english")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="also write them there, as JSON")] = None,
) -> None:
    """Show messages in English beside the best paraphrase and an agent's."""
    _check_out(out)
    told = english.paraphrases(load(run))
    if out:
        write_json(out, told)
    print(english.paraphrase_text(told))


def _check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is measured."""
    if out and not out.absolute().parent.is_dir():
        raise SettingError(f"cannot write {str(out)!r}: there is no directory {str(out.parent)!r}.")


if __name__ == "__main__":
    app()
