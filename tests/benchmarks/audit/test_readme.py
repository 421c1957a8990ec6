"""The table of README.md against a second implementation."""

import re
from typing import NamedTuple

import pytest

from tests.benchmarks.audit import recomputed
from tests.benchmarks.audit.pages import NUMBER, as_number, differences, table
from tests.benchmarks.audit.recomputed import MEASURES, mean_interval, read, welch

SIZES = ("fast", "stable")


class Shown(NamedTuple):
    """What a row of README.md shows: a measure with its interval, the mean of another, and the runs."""

    measure: str
    beside: str | None = None
    case: str = "preset"
    benchmark: str = "fast-vs-stable"
    better: int = 0  # 1 where more is better, -1 where less is


ROWS = {
    "last 100 at the report's rate (random)": Shown("Mean of the last 100", "Return of `random`", "as-reported"),
    "training, min (processor)": Shown("Training time, min", "Processor time, min", better=-1),
    "episodes a minute": Shown("Episodes per minute", better=1),
    "model file, MB": Shown("Model file, MB", better=-1),
    "best episode": Shown("Best episode", better=1),
    "mean of the last 100": Shown("Mean of the last 100", better=1),
    "mean of the last 20": Shown("Mean of the last 20", better=1),
    "lowest of the last 20": Shown("Lowest of the last 20", better=1),
    "spread, % of the optimum": Shown("Spread of the last 100, % of the optimum", better=-1),
    "converged by episode": Shown("Converged by episode", better=-1),
    "score, held out, %": Shown("Score, %", better=1),
    "`greedy`, no learning": Shown("Score of `greedy`, %"),
    "agent less `greedy`, points": Shown("Score less that of `greedy`, points", better=1),
    "plain logits (report's kind of network)": Shown("Score, %", None, "sb3-classes", "reach", better=1),
    "`lookahead` (what the observation allows)": Shown("Score of `lookahead`, %"),
    "return, held out (optimum)": Shown("Return", "Optimum"),
}
TEXT = {"episodes", "vocabulary", "steps", "learning rate"}


def readme():
    shown = table("README.md", "table")
    plain = {re.sub(r" +", " ", label.replace("<br>", " ").replace("**", "")): row for label, row in shown.rows.items()}
    seeds = [int(re.search(r"\((\d+) seeds\)", column)[1]) for column in shown.columns[1:3]]
    return plain, dict(zip(SIZES, seeds, strict=True))


def values(shown: Shown, size: str, label: str) -> list[float | None]:
    return recomputed.measured(read(shown.benchmark)[f"{size}/{shown.case}"], MEASURES[label])


def reported(label: str) -> list[float] | None:
    """What the report gives for both sizes, by the table of docs/results/benchmark.md."""
    page = table("docs/results/benchmark.md", "table")
    row = dict(zip(page.columns, page.rows[label], strict=True))
    figures = [row[f"{size}<br>reported"] for size in SIZES]
    return None if "—" in figures else [as_number(figure) for figure in figures]


def better(interval: tuple[float, float], sign: int) -> str:
    """The better size by the interval of fast less stable."""
    low, high = sorted(sign * end for end in interval)
    return "fast" if low > 0 else "stable" if high < 0 else "—"


def winner(shown: Shown) -> str:
    """The last cell: the report's better size, an arrow, and the better size of the runs."""
    sides = [values(shown, size, shown.measure) for size in SIZES]
    if not shown.better:
        return "—"
    report = None if shown.case != "preset" else reported(shown.measure)
    first = "—" if report is None else better((report[0] - report[1],) * 2, shown.better)
    second = "—" if None in sides[0] + sides[1] else better(welch(*sides)[1:], shown.better)
    return "—" if (first, second) == ("—", "—") else f"{first} → {second}"


def errors_of_cell(cell: str, shown: Shown, size: str, usual: int) -> list[str]:
    measured = values(shown, size, shown.measure)
    known = [value for value in measured if value is not None]
    mean, _, high = mean_interval(known)
    expected = [mean] + ([high - mean] if len(set(known)) > 1 else [])
    expected += [mean_interval(values(shown, size, shown.beside)).estimate] if shown.beside else []
    seeds = [] if len(measured) == usual else [f"({len(measured)} seeds)"]
    errors = [] if re.findall(r"\(\d+ seeds\)", cell) == seeds else [f"{cell}: seeds {seeds}"]
    return errors + differences(re.findall(NUMBER, re.sub(r" \(\d+ (seeds|of \d+ runs)\)", "", cell)), expected)


def test_cells_are_the_means_of_their_runs():
    rows, seeds = readme()
    errors, checked = [], 0
    for label, (_, *row, _) in rows.items():
        for size, cell in zip(SIZES, row, strict=True):
            if label not in TEXT:
                errors += [
                    f"{label}, {size}: {error}" for error in errors_of_cell(cell, ROWS[label], size, seeds[size])
                ]
                checked += 1
    assert not errors, "\n".join(errors)
    assert checked >= 24


def test_headings_count_the_seeds_of_the_presets():
    assert readme()[1] == {size: len(read("fast-vs-stable")[f"{size}/preset"]) for size in SIZES}


@pytest.mark.parametrize("label", sorted(TEXT))
def test_settings_are_those_of_the_large_table(label):
    page = table("docs/results/benchmark.md", "table")
    full = dict(zip(page.columns, page.rows[label.capitalize()], strict=True))
    report, *ours, winner = readme()[0][label]
    assert report == " / ".join(full[f"{size}<br>reported"] for size in SIZES)
    assert ours == [full[f"{size}<br>our preset, measured"] for size in SIZES]
    assert winner == "—"


def test_figures_of_the_report_are_those_of_the_large_table():
    errors = []
    for label, (report, *_) in readme()[0].items():
        if label not in TEXT:
            expected = reported(ROWS[label].measure) if ROWS[label].benchmark == "fast-vs-stable" else None
            printed = [] if report == "—" else [as_number(figure) for figure in report.split(" / ")]
            errors += [] if printed == (expected or []) else [f"{label}: {report} is printed, {expected} computed"]
    assert not errors, "\n".join(errors)


def test_winners_are_those_of_welchs_interval():
    rows = {label: row[-1] for label, row in readme()[0].items() if label not in TEXT}
    assert rows == {label: winner(ROWS[label]) for label in rows}
