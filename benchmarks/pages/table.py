"""Show results as the table: the report's figures, its settings measured, our presets measured, and who wins."""

from typing import NamedTuple

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measures.metrics import SECTIONS, Metric
from benchmarks.measures.row import Row, compared_versions, versions_text
from benchmarks.measures.summary import Cell, compare, summarise
from benchmarks.suite.case import Benchmark
from benchmarks.suite.cases import AS_REPORTED, PRESET
from benchmarks.suite.reported import reported

NOTHING = "—"
UNBOUNDED = 10_000  # columns, to ask how wide a table would like to be
REPORTED = "reported"
VARIANTS = {REPORTED: "reported", AS_REPORTED: "its settings, measured", PRESET: "our preset, measured"}


class Column(NamedTuple):
    """A column of the table: a size, and where its figures come from."""

    size: str
    variant: str

    @property
    def case(self) -> str:
        """The name of the case that it shows."""
        return f"{self.size}/{self.variant}"


class Lines(NamedTuple):
    """The table in words, whatever it is drawn with."""

    columns: list[Column]
    winner: str  # heading of the last column
    sections: dict[str, list[list[str]]]  # by title: label, a cell a column, who wins


def lines(
    benchmark: Benchmark, runs: pd.DataFrame, metrics: list[Metric] | None = None, with_middle: bool = False
) -> Lines:
    """The table of these runs.

    Args:
        benchmark: what was measured.
        runs: as `frame` gives them; only their cases have columns.
        metrics: the rows; all if None. Those of which nobody tells anything are left out.
        with_middle: whether the interquartile mean stands beside the mean, where there are enough seeds.
    """
    columns = _columns(benchmark, set(runs["case"]))
    sections = {}
    for title, members in SECTIONS.items():
        shown = [metric for metric in members if metrics is None or metric in metrics]
        drawn = [_line(metric, columns, benchmark, runs, with_middle) for metric in shown]
        sections[title] = [line for line in drawn if set(line[1:]) != {NOTHING}]
    told = {title: drawn for title, drawn in sections.items() if drawn}
    return Lines(columns, " or ".join(_contestants(benchmark).values()) + "?", told)


def _contestants(benchmark: Benchmark) -> dict[str, str]:
    """The two cases that are compared: by name, what tells it from the other."""
    parts = zip(*(case.split("/") for case in benchmark.contest), strict=True)
    different = next(pair for pair in parts if pair[0] != pair[1])
    return dict(zip(benchmark.contest, different, strict=True))


def _columns(benchmark: Benchmark, cases: set[str]) -> list[Column]:
    shown = [case for case in benchmark.cases if case.name in cases]
    sizes = dict.fromkeys(case.size for case in shown)
    told = any(column.size in reported().figures and column.variant in VARIANTS for column in shown)
    return [
        Column(size, variant)
        for size in sizes
        for variant in [REPORTED] * told + [case.variant for case in shown if case.size == size]
    ]


def _line(
    metric: Metric, columns: list[Column], benchmark: Benchmark, runs: pd.DataFrame, with_middle: bool
) -> list[str]:
    cells = summarise(runs, metric)
    texts = [
        _told(metric, column.size) if column.variant == REPORTED else cell_text(cells[column.case], metric, with_middle)
        for column in columns
    ]
    return [metric.label, *texts, _winner_text(metric, benchmark, runs)]


def _told(metric: Metric, size: str) -> str:
    figure = reported().figures.get(size, {}).get(metric.name)
    return NOTHING if figure is None else figure if isinstance(figure, str) else _number(figure, metric.form)


def cell_text(cell: Cell, metric: Metric, with_middle: bool = False) -> str:
    """A mean with half of its 95 % interval; one number alone where every run has the same, or there is one run."""
    if cell.text is not None:
        return cell.text
    if cell.mean is None:
        return NOTHING
    text = _number(cell.mean.estimate, metric.form)
    if cell.varies:
        text += f" ± {_number(cell.mean.half_width, metric.form.lstrip('+'))}"
        if with_middle and cell.middle:
            text += f" · IQM {_number(cell.middle.estimate, metric.form)}"
    return text if cell.told == cell.runs else f"{text} ({cell.told} of {cell.runs} runs)"


def _number(value: float, form: str) -> str:
    """The number in this format; large ones of a format with significant digits are not written as powers of ten."""
    whole = form.endswith("g") and abs(value) >= 100
    return f"{value:{',.0f' if whole else form}}".replace("-", "−")


def _winner_text(metric: Metric, benchmark: Benchmark, runs: pd.DataFrame) -> str:
    found = compare(runs, metric, benchmark.contest)
    if found is None:
        return NOTHING
    if found.winner is None:
        return "no difference shown"
    chance = found.probability if found.winner == benchmark.contest[0] else 1 - found.probability
    return f"{_contestants(benchmark)[found.winner]} ({chance:.2f})"


def markdown(table: Lines) -> str:
    """The table in Markdown."""
    heading = [
        "",
        *(f"**{column.size}**<br>{VARIANTS.get(column.variant, column.variant)}" for column in table.columns),
    ]
    rows = [[*heading, table.winner], ["---", *["---:"] * len(table.columns), "---"]]
    for title, members in table.sections.items():
        rows += [[f"**{title}**", *[""] * (len(table.columns) + 1)], *members]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def for_console(console: Console, table: Lines, title: str) -> list[Table]:
    """The table for a terminal: whole where it fits, else one a size."""
    whole = terminal(table, title)
    if console.measure(whole, options=console.options.update(max_width=UNBOUNDED)).maximum <= console.width:
        return [whole]
    sizes = list(dict.fromkeys(column.size for column in table.columns))
    return [terminal(_of_size(table, size), f"{title}: {size}") for size in sizes]


def told_columns(table: Lines) -> Lines:
    """The columns that tell anything."""
    every = [row[1:-1] for rows in table.sections.values() for row in rows]
    places = [place for place, cells in enumerate(zip(*every, strict=True)) if set(cells) != {NOTHING}]
    sections = {
        title: [[row[0], *(row[1 + place] for place in places), row[-1]] for row in rows]
        for title, rows in table.sections.items()
    }
    return Lines([table.columns[place] for place in places], table.winner, sections)


def _of_size(table: Lines, size: str) -> Lines:
    """The columns of one size, and who wins; rows of which it tells nothing are left out."""
    places = [place for place, column in enumerate(table.columns) if column.size == size]
    sections = {
        title: [
            [row[0], *cells, row[-1]] for row in rows if set(cells := [row[1 + place] for place in places]) != {NOTHING}
        ]
        for title, rows in table.sections.items()
    }
    told = {title: rows for title, rows in sections.items() if rows}
    return Lines([table.columns[place] for place in places], table.winner, told)


def terminal(table: Lines, title: str) -> Table:
    """The table for a terminal."""
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    drawn.add_column("")
    for column in table.columns:
        drawn.add_column(f"{column.size}\n{VARIANTS.get(column.variant, column.variant)}", justify="right")
    drawn.add_column(table.winner)
    for name, members in table.sections.items():
        drawn.add_row(name, style="bold")
        for row in members:
            drawn.add_row(*row)
        drawn.add_section()
    return drawn


def caption(rows: list[Row]) -> str:
    """How the figures came about: seeds, machines, versions, revisions of the code, in sentences."""
    seeds: dict[int, list[str]] = {}
    for case in dict.fromkeys(row.case for row in rows):
        seeds.setdefault(sum(row.case == case for row in rows), []).append(case)
    counted = "; ".join(
        f"{count} seed{'s' * (count > 1)} of {', '.join(cases)}" for count, cases in sorted(seeds.items(), reverse=True)
    )
    machines = sorted({f"{row.machine.processor} ({row.machine.cores} cores, {row.machine.device})" for row in rows})
    versions = versions_text(compared_versions(rows[0].versions))
    threads = sorted({row.training.threads for row in rows})
    revisions = sorted({row.revision or "unknown" for row in rows})
    days = sorted({row.started[:10] for row in rows})
    return (
        f"Runs: {counted}. Machine: {', '.join(machines)}; threads a run: {', '.join(map(str, threads))}. "
        f"Versions: {versions}. Revision: {', '.join(revisions)}. Made on {', '.join(days)}."
    )
