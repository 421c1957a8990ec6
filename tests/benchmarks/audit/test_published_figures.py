"""Published figures against a second implementation: tables cell by cell, findings number by number, verdicts."""

import re

import numpy as np
import pytest

from tests.benchmarks.audit import recomputed
from tests.benchmarks.audit.pages import NUMBER, Table, as_number, differences, flat, table
from tests.benchmarks.audit.recomputed import MEASURES, Row, improvement, interquartile_mean, mean_interval, read, welch

BENCHMARK = "docs/results/benchmark.md"
TABLES = {"table": "fast-vs-stable", "generalisation": "generalisation", "reach": "reach"}
PLANNING = {"test": "preset", "validation": "planning"}  # a case with planning agents, by the split it is tested on
NEITHER = {  # rows of which no value is better than another, and returns that cannot be compared
    "CPU use, %", "Lowest loss", "Lowest loss of the last 20 updates", "Highest loss of the last 20 updates",
    "Drawdown", "Spread of the last 100", "Optimum", "Generalisation gap", "Untrained policy: score, %",
    "Untrained policy: score, sampled tokens, %", "Score of `greedy`, %", "Score of `lookahead`, %",
    "Return of `greedy`", "Return of `fluent`", "Return of `verbatim`", "Return of `random`",
}  # fmt: skip
LOWER = {
    "Policy in memory, MB", "Model file, MB", "Training time, min", "Processor time, min", "Peak memory, MB",
    "Drawdown, % of the optimum", "Spread of the last 100, % of the optimum", "Converged by episode",
    "Episodes to the report's average", "Seconds to the report's average",
}  # fmt: skip
SETTINGS = {  # rows without an interval, as text
    "Episodes": lambda settings: f"{settings['episodes']:,}",
    "Vocabulary": lambda settings: f"{settings['env']['vocab_size']:,}",
    "Steps": lambda settings: str(settings["env"]["max_steps"]),
    "Hidden units": lambda settings: " + ".join(map(str, settings["policy"]["hidden"])),
    "Head of the policy": lambda settings: settings["policy"].get("head", "stock"),
    "Learning rate": lambda settings: learning_rate(settings["ppo"]),
}


def learning_rate(settings: dict) -> str:
    digits, _, power = f"{settings['learning_rate']:.0e}".partition("e")
    return f"{digits}e{int(power)}" + (", falling" if settings.get("learning_rate_schedule") == "linear" else "")


def case_of(column: str) -> str | None:
    """The case a column shows; None for figures of the report and for the last column."""
    size, _, kind = column.partition("<br>")
    names = {"its settings, measured": "as-reported", "our preset, measured": "preset", "reported": "", "": ""}
    name = names.get(kind, kind)
    return f"{size}/{name}" if name else None


def measure_of(label: str, shown: Table, size: str):
    """The measure of a row; two rows need the average that the report gives for the size."""
    if label in MEASURES:
        return MEASURES[label]
    reported = dict(zip(shown.columns, shown.rows["Mean of the last 100"], strict=True))[f"{size}<br>reported"]
    if reported == "—":
        return lambda row: None
    if label == "Episodes to the report's average":
        return lambda row: recomputed.episodes_to(row, as_number(reported))
    assert label == "Seconds to the report's average", f"{label} has no second implementation"
    return lambda row: recomputed.seconds_to(row, as_number(reported))


def cell_errors(cell: str, values: list[float | None], significant: int | None) -> list[str]:
    """What is wrong in a cell with a mean, half of its interval and the interquartile mean of these values."""
    known = [value for value in values if value is not None]
    if not known:
        return [] if cell == "—" else [f"{cell} is printed where no run has a value"]
    expected = [float(np.mean(known))]
    if len(set(known)) > 1:
        mean, _, high = mean_interval(known)
        expected += [high - mean] + [interquartile_mean(known)] * (len(known) >= 10)
    main, _, part = cell.partition(" (")
    missing = f"{len(known)} of {len(values)} runs)" if len(known) < len(values) else ""
    errors = [] if part == missing else [f"({part} is printed instead of ({missing}"]
    return errors + differences(re.findall(NUMBER, main), expected, significant)


def winner(label: str, sides: dict[str, list[float | None]]) -> str:
    """The last cell of a row: the better side with its probability of improvement."""
    first, second = sides
    if label in NEITHER or label in SETTINGS or any(None in values for values in sides.values()):
        return "—"
    sign = -1 if label in LOWER else 1
    a, b = ([sign * value for value in sides[name]] for name in (first, second))
    interval = welch(a, b)
    if interval.low <= 0 <= interval.high:
        return "no difference shown"
    return f"{first} ({improvement(a, b):.2f})" if interval.low > 0 else f"{second} ({improvement(b, a):.2f})"


def compared(column: str) -> dict[str, str]:
    """Names and cases of the two sides of the last column, both of fast where it does not compare sizes."""
    first, second = re.fullmatch(r"(\S+) or (\S+)\?", column).groups()
    if (first, second) == ("fast", "stable"):
        return {first: f"{first}/preset", second: f"{second}/preset"}
    return {first: f"fast/{first}", second: f"fast/{second}"}


def values_of(rows: list[Row], label: str, shown: Table) -> list[float | None]:
    size = rows[0]["case"].partition("/")[0]
    return recomputed.measured(rows, measure_of(label, shown, size))


@pytest.mark.parametrize(("name", "benchmark"), TABLES.items())
def test_cells_are_the_means_of_their_runs(name, benchmark):
    shown, errors, checked = table(BENCHMARK, name), [], 0
    for label, row in shown.rows.items():
        for column, cell in zip(shown.columns, row, strict=True):
            if case_of(column) is None or label == "Device":
                continue
            runs = read(benchmark)[case_of(column)]
            if label in SETTINGS:
                found = [] if {SETTINGS[label](run["settings"]) for run in runs} == {cell} else [cell]
            else:
                found = cell_errors(cell, values_of(runs, label, shown), 3 if "loss" in label else None)
            errors += [f"{label}, {column}: {error}" for error in found]
            checked += 1
    assert not errors, "\n".join(errors)
    assert checked >= 24


@pytest.mark.parametrize(("split", "benchmark"), [("test", "fast-vs-stable"), ("validation", "learning")])
def test_optima_of_rows_are_those_of_the_solver(split, benchmark):
    """Of fast, whose optima rows hold for both splits."""
    held = {row["held_out"].get("optimal", {}).get("mean_return") for row in read(benchmark)[f"fast/{PLANNING[split]}"]}
    assert held == {round(recomputed.solved_optimum((1000, 30), split), 5)}


@pytest.mark.parametrize(("name", "benchmark"), TABLES.items())
def test_winners_are_those_of_welchs_interval(name, benchmark):
    shown = table(BENCHMARK, name)
    sides = {side: read(benchmark)[case] for side, case in compared(shown.columns[-1]).items()}
    errors = []
    for label, row in shown.rows.items():
        measurable = label not in SETTINGS and label != "Device"
        values = {side: values_of(runs, label, shown) if measurable else [None] for side, runs in sides.items()}
        if row[-1] != winner(label, values):
            errors.append(f"{label}: {row[-1]} is printed, {winner(label, values)} computed")
    assert not errors, "\n".join(errors)


def test_reported_figures_are_those_of_the_large_table():
    """Of the table of episodes to the report's averages."""
    large, small = table(BENCHMARK, "table"), table(BENCHMARK, "reach")
    for label, row in small.rows.items():
        full = dict(zip(large.columns, large.rows[label], strict=True))
        shown = dict(zip(small.columns, row, strict=True))
        reported = [column for column in small.columns if column.endswith("<br>reported")]
        assert [shown[column] for column in reported] == [full[column] for column in reported], label


def test_heads_are_compared_by_welchs_interval_of_90_per_cent():
    errors = []
    for label, (last, greedy, seeds, within) in table(BENCHMARK, "heads").rows.items():
        sides = [read("heads")[case] for case in label.split(" − ")]
        pairs = [
            [recomputed.measured(rows, MEASURES[name]) for rows in sides] for name in ("Mean of the last 100", "Return")
        ]
        intervals = [welch(*pair, 0.9) for pair in pairs]
        errors += differences(re.findall(NUMBER, f"{last} {greedy}"), flat(*intervals))
        equivalent = all(interval.low > -0.1 and interval.high < 0.1 for interval in intervals)
        errors += [] if within == ("yes" if equivalent else "no") else [f"{label}: within ±0.1 is printed as {within}"]
        errors += [] if seeds == ", ".join(str(len(rows)) for rows in sides) else [f"{label}: {seeds} seeds"]
    assert not errors, "\n".join(errors)


def test_learning_rates_show_the_last_100_episodes():
    shown, errors, checked = table("docs/results/claims.md", "rates"), [], 0
    for rate, row in shown.rows.items():
        for column, cell in zip(shown.columns, row, strict=True):
            size, optimizer = re.fullmatch(r"(\w+),<br>(\w+)", column).groups()
            kind = {"Adam": "rate", "RMSprop": "rmsprop-rate", "SGD": "sgd-rate"}[optimizer]
            reported = (rate, optimizer) == ("1e-6", "Adam")
            cases = read("fast-vs-stable" if reported else "claims")
            rows = cases.get(f"{size}/as-reported" if reported else f"{size}/{kind}-{rate}", [])
            values = recomputed.measured(rows, MEASURES["Mean of the last 100"])
            mean = [mean_interval(values)] if len(values) > 1 and None not in values else []
            if mean and cell != "—":
                errors += [f"{rate}, {column}: {error}" for error in differences(
                    re.findall(NUMBER, cell), [mean[0].estimate, mean[0].high - mean[0].estimate])]  # fmt: skip
                checked += 1
            elif bool(rows) != (cell != "—"):
                errors.append(f"{rate}, {column}: {cell} is printed for {len(rows)} runs")
    assert not errors, "\n".join(errors)
    assert checked
