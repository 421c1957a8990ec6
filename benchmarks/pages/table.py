"""Build the results table: the report's figures, its settings measured, our presets measured, and the better case."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from agents.evaluation.formats import NO_VALUE, number_text
from benchmarks.measures.metrics import SECTIONS, Metric
from benchmarks.measures.row import Row, compared_versions, versions_text
from benchmarks.measures.summary import Cell, compare, summarise
from benchmarks.suite.case import Benchmark
from benchmarks.suite.cases import AS_REPORTED, PRESET
from benchmarks.suite.reported import reported

UNLIMITED_WIDTH = 10_000  # characters, to measure the natural width of a table
REPORTED = "reported"
VARIANTS = {REPORTED: "reported", AS_REPORTED: "its settings, measured", PRESET: "our preset, measured"}


class Column(NamedTuple):
    """A column of the table: a size, and the source of its figures."""

    size: str
    variant: str

    @property
    def case(self) -> str:
        """Name of the case in this column."""
        return f"{self.size}/{self.variant}"


class TableText(NamedTuple):
    """The formatted cells of the table, independent of the output format."""

    columns: list[Column]
    winner: str  # heading of the last column
    sections: dict[str, list[list[str]]]  # title → rows of label, one cell per column, better case


def table_text(
    benchmark: Benchmark, runs: pd.DataFrame, metrics: list[Metric] | None = None, with_iqm: bool = False
) -> TableText:
    """Format results as a table; rows without any value are left out.

    Args:
        benchmark: Benchmark that defines the order of the columns.
        runs: Results with one row per run, as returned by `frame`; only their cases get columns.
        metrics: Metrics to show; None: all.
        with_iqm: Add the interquartile mean to each cell with enough seeds.
    """
    columns = _columns(benchmark, set(runs["case"]))
    sections = {}
    for title, members in SECTIONS.items():
        selected = [metric for metric in members if metrics is None or metric in metrics]
        rows = [_row(metric, columns, benchmark, runs, with_iqm) for metric in selected]
        sections[title] = [row for row in rows if set(row[1:]) != {NO_VALUE}]
    filled = {title: rows for title, rows in sections.items() if rows}
    return TableText(columns, " or ".join(_short_names(benchmark).values()) + "?", filled)


def _short_names(benchmark: Benchmark) -> dict[str, str]:
    """Return the compared cases by name, each with the part of its name that differs (size or variant)."""
    parts = zip(*(case.split("/") for case in benchmark.compared_cases), strict=True)
    different = next(pair for pair in parts if pair[0] != pair[1])
    return dict(zip(benchmark.compared_cases, different, strict=True))


def _columns(benchmark: Benchmark, cases: set[str]) -> list[Column]:
    """Return one column per case, and a column of reported figures per size if any figure is reported."""
    selected = [case for case in benchmark.cases if case.name in cases]
    sizes = dict.fromkeys(case.size for case in selected)
    with_reported = any(case.size in reported().figures and case.variant in VARIANTS for case in selected)
    return [
        Column(size, variant)
        for size in sizes
        for variant in [REPORTED] * with_reported + [case.variant for case in selected if case.size == size]
    ]


def _row(metric: Metric, columns: list[Column], benchmark: Benchmark, runs: pd.DataFrame, with_iqm: bool) -> list[str]:
    cells = summarise(runs, metric)
    texts = [
        _reported_text(metric, column.size)
        if column.variant == REPORTED
        else cell_text(cells[column.case], metric, with_iqm)
        for column in columns
    ]
    return [metric.label, *texts, _winner_text(metric, benchmark, runs)]


def _reported_text(metric: Metric, size: str) -> str:
    figure = reported().figures.get(size, {}).get(metric.name)
    return NO_VALUE if figure is None else figure if isinstance(figure, str) else _number(figure, metric.format_spec)


def cell_text(cell: Cell, metric: Metric, with_iqm: bool = False) -> str:
    """Format a mean ± half of its 95 % interval; the mean alone if all runs agree or there is one run."""
    if cell.text is not None:
        return cell.text
    if cell.mean is None:
        return NO_VALUE
    text = _number(cell.mean.estimate, metric.format_spec)
    if cell.varies:
        text += f" ± {_number(cell.mean.half_width, metric.format_spec.lstrip('+'))}"
        if with_iqm and cell.iqm:
            text += f" · IQM {_number(cell.iqm.estimate, metric.format_spec)}"
    return text if cell.runs_with_value == cell.runs else f"{text} ({cell.runs_with_value} of {cell.runs} runs)"


def _number(value: float, format_spec: str) -> str:
    """Format a number with a minus sign; "g" formats show large numbers without an exponent."""
    as_integer = format_spec.endswith("g") and abs(value) >= 100
    return number_text(value, ",.0f" if as_integer else format_spec)


def _winner_text(metric: Metric, benchmark: Benchmark, runs: pd.DataFrame) -> str:
    comparison = compare(runs, metric, benchmark.compared_cases)
    if comparison is None:
        return NO_VALUE
    if comparison.winner is None:
        return "no difference shown"
    first_wins = comparison.winner == benchmark.compared_cases[0]
    probability = comparison.probability if first_wins else 1 - comparison.probability
    return f"{_short_names(benchmark)[comparison.winner]} ({probability:.2f})"


def markdown_table(table: TableText) -> str:
    """Format the table as Markdown."""
    heading = [
        "",
        *(f"**{column.size}**<br>{VARIANTS.get(column.variant, column.variant)}" for column in table.columns),
    ]
    rows = [[*heading, table.winner], ["---", *["---:"] * len(table.columns), "---"]]
    for title, members in table.sections.items():
        rows += [[f"**{title}**", *[""] * (len(table.columns) + 1)], *members]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def fit_console(console: Console, table: TableText, title: str) -> list[Table]:
    """Return the table for a terminal as a whole if it fits, otherwise one table per size."""
    whole = terminal_table(table, title)
    if console.measure(whole, options=console.options.update(max_width=UNLIMITED_WIDTH)).maximum <= console.width:
        return [whole]
    sizes = list(dict.fromkeys(column.size for column in table.columns))
    return [terminal_table(_of_size(table, size), f"{title}: {size}") for size in sizes]


def without_empty_columns(table: TableText) -> TableText:
    """Drop the columns without any value."""
    all_cells = [row[1:-1] for rows in table.sections.values() for row in rows]
    indices = [index for index, cells in enumerate(zip(*all_cells, strict=True)) if set(cells) != {NO_VALUE}]
    sections = {
        title: [[row[0], *(row[1 + index] for index in indices), row[-1]] for row in rows]
        for title, rows in table.sections.items()
    }
    return TableText([table.columns[index] for index in indices], table.winner, sections)


def _of_size(table: TableText, size: str) -> TableText:
    """Select the columns of one size; rows without a value in them are left out."""
    indices = [index for index, column in enumerate(table.columns) if column.size == size]
    sections = {
        title: [
            [row[0], *cells, row[-1]]
            for row in rows
            if set(cells := [row[1 + index] for index in indices]) != {NO_VALUE}
        ]
        for title, rows in table.sections.items()
    }
    filled = {title: rows for title, rows in sections.items() if rows}
    return TableText([table.columns[index] for index in indices], table.winner, filled)


def terminal_table(table: TableText, title: str) -> Table:
    """Build the table for a terminal."""
    output = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    output.add_column("")
    for column in table.columns:
        output.add_column(f"{column.size}\n{VARIANTS.get(column.variant, column.variant)}", justify="right")
    output.add_column(table.winner)
    for name, members in table.sections.items():
        output.add_row(name, style="bold")
        for row in members:
            output.add_row(*row)
        output.add_section()
    return output


def caption(rows: list[Row]) -> str:
    """Describe how the results were made: seeds, versions, and the machine, revision and date of each case."""
    by_count: dict[int, list[str]] = {}
    for case, count in Counter(row.case for row in rows).items():
        by_count.setdefault(count, []).append(case)
    seeds = "; ".join(
        f"{count} seed{'s' * (count > 1)} of {', '.join(cases)}"
        for count, cases in sorted(by_count.items(), reverse=True)
    )
    diverged = Counter(row.case for row in rows if row.diverged is not None)
    diverging = f" Diverged: {', '.join(f'{count} of {case}' for case, count in diverged.items())}." if diverged else ""
    threads = sorted({row.training.threads for row in rows})
    machines = _by_origin(rows, lambda row: row.machine.description)
    revisions = _by_origin(rows, lambda row: f"{row.revision or 'unknown'} of {row.started[:10]}")
    return (
        f"Runs: {seeds}.{diverging} Machine: {machines}; threads a run: {', '.join(map(str, threads))}.{_load(rows)} "
        f"Versions: {versions_text(compared_versions(rows[0].versions))}. Revision: {revisions}."
    )


def _load(rows: list[Row]) -> str:
    """Describe the load average of the machine before and after the trainings; empty if no row has it."""
    ends = [(row.training.load_at_start, row.training.load_at_end) for row in rows]
    loads = [load for of_row in ends for load in of_row if load is not None]
    if not loads:
        return ""
    without = sum(of_row == (None, None) for of_row in ends)
    unknown = f", not recorded in {without} runs" if without else ""
    return f" Load average: {min(loads):.1f} to {max(loads):.1f}{unknown}."


def _by_origin(rows: list[Row], origin: Callable[[Row], str]) -> str:
    """Return the origin of the rows; if they have several, each with its cases."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(origin(row), []).append(row)
    if len(groups) == 1:
        return next(iter(groups))
    totals = Counter(row.case for row in rows)
    return "; ".join(
        f"{name} for "
        + ", ".join(
            case if count == totals[case] else f"{case} ({count} of {totals[case]} runs)"
            for case, count in Counter(row.case for row in of_origin).items()
        )
        for name, of_origin in sorted(groups.items())
    )
