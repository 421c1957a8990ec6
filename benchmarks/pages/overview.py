"""Build README's table: the report's figures, our presets of its two sizes, and the better of them there and here."""

from typing import NamedTuple

import pandas as pd

from agents.evaluation.formats import NO_VALUE, number_text
from benchmarks.measures.metrics import METRICS, Metric
from benchmarks.measures.row import Row
from benchmarks.measures.summary import Cell, compare, summarise
from benchmarks.pages.table import cell_text
from benchmarks.suite.cases import AS_REPORTED, PRESET, SB3_CLASSES
from benchmarks.suite.reported import reported

SIZES = ("fast", "stable")  # the sizes that the report compares
ARROW = " → "


class Line(NamedTuple):
    """A row of the table: one metric of one variant of both sizes."""

    label: str
    metric: str  # name in METRICS
    format_spec: str | None = None  # instead of that of the metric
    variant: str = PRESET
    beside: str | None = None  # name of a metric whose mean stands in parentheses
    judged: bool = True  # whether the last column names the better size

    @property
    def shown(self) -> Metric:
        """The metric, with the number format of this table."""
        metric = METRICS[self.metric]
        return metric._replace(format_spec=self.format_spec or metric.format_spec)


LINES = (
    Line("episodes", "episodes"),
    Line("vocabulary", "vocab_size"),
    Line("steps", "max_steps"),
    Line("learning rate", "learning_rate"),
    Line(
        "last 100 at the<br>report's rate (random)",
        "mean_last_100",
        ".0f",
        AS_REPORTED,
        "reference_random",
        judged=False,
    ),
    Line("training, min (processor)", "training_minutes", beside="cpu_minutes"),
    Line("episodes a minute", "episodes_per_minute"),
    Line("model file, MB", "file_mb"),
    Line("best episode", "max_return", ".2f"),
    Line("mean of the last 100", "mean_last_100", ".2f"),
    Line("mean of the last 20", "mean_last_20", ".2f"),
    Line("lowest of the last 20", "lowest_last_20", ".2f"),
    Line("spread, % of the optimum", "spread_share"),
    Line("converged by episode", "convergence"),
    Line("**score, held out**, %", "score"),
    Line("**`greedy`**, no learning", "score_of_greedy"),
    Line("**agent less `greedy`**, points", "lead_over_greedy"),
    Line("**plain logits**<br>(report's kind of network)", "score", variant=SB3_CLASSES),
    Line("`lookahead` (what<br>the observation allows)", "score_of_lookahead"),
    Line("return, held out (optimum)", "test_return", ".2f", beside="optimum", judged=False),
)


def overview_table(runs: pd.DataFrame, plain: pd.DataFrame) -> str:
    """Format the table as Markdown.

    Args:
        runs: Results of `fast-vs-stable`, as returned by `frame`.
        plain: Results of `reach`, for the presets with plain logits.
    """
    data = pd.concat([runs, plain[plain["variant"] == SB3_CLASSES]], ignore_index=True)
    seeds = {size: int((data["case"] == f"{size}/{PRESET}").sum()) for size in SIZES}
    heading = ["", f"report:<br>{' / '.join(SIZES)}", *(f"{size}<br>({_seeds_text(seeds[size])})" for size in SIZES)]
    rows = [[*heading, f"winner:<br>report{ARROW}here"], ["---", *["---:"] * (1 + len(SIZES)), "---"]]
    rows += [[line.label, _reported_text(line), *_cells(line, data, seeds), _winners(line, data)] for line in LINES]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def overview_note(rows: list[Row]) -> str:
    """Return the line under the table: how to take the report's figures, and the policies of the presets' rows."""
    heads = sorted({row.settings.policy.head for row in rows if row.case in {f"{size}/{PRESET}" for size in SIZES}})
    policies = " and ".join(f"`policy.head={head}`" for head in heads)
    return (
        "The report's environment is unknown: its numbers are quoted, not compared. "
        f"Here PPO trains {policies}; plain logits are `policy.head=stock` with the settings chosen for them."
    )


def _seeds_text(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _reported_text(line: Line) -> str:
    figures = [reported().figures[size].get(line.metric) for size in SIZES]
    if None in figures:
        return NO_VALUE
    form = ".2f" if METRICS[line.metric].format_spec == "+.2f" else ",g"  # returns; the rest is approximate
    return " / ".join(figure if isinstance(figure, str) else number_text(figure, form) for figure in figures if figure)


def _cells(line: Line, data: pd.DataFrame, seeds: dict[str, int]) -> list[str]:
    """Format both sizes; the number of seeds stands in a cell if it is not that of the heading."""
    cells, beside = summarise(data, line.shown), summarise(data, METRICS[line.beside]) if line.beside else {}
    texts = []
    for size in SIZES:
        case = f"{size}/{line.variant}"
        text = cell_text(cells.get(case, Cell(0, 0)), line.shown)
        if (other := beside.get(case)) and other.mean:
            text += f" ({number_text(other.mean.estimate, line.shown.format_spec)})"
        if text != NO_VALUE and cells[case].runs != seeds[size]:
            text += f" ({_seeds_text(cells[case].runs)})"
        texts.append(text)
    return texts


def _winners(line: Line, data: pd.DataFrame) -> str:
    """Return the better size by the report's figures, and by our runs if their interval excludes zero."""
    if not line.judged:
        return NO_VALUE
    cases = {f"{size}/{line.variant}": size for size in SIZES}
    first, second = cases
    comparison = compare(data, line.shown, (first, second))
    here = cases[comparison.winner] if comparison and comparison.winner else NO_VALUE
    there = _reported_winner(line)
    return NO_VALUE if here == there == NO_VALUE else f"{there}{ARROW}{here}"


def _reported_winner(line: Line) -> str:
    figures = {size: reported().figures[size].get(line.metric) for size in SIZES}
    numbers = {size: line.shown.better * figure for size, figure in figures.items() if isinstance(figure, int | float)}
    if len(numbers) < len(SIZES) or len(set(numbers.values())) == 1:
        return NO_VALUE
    return max(numbers, key=lambda size: numbers[size])
