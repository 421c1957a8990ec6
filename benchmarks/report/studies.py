"""Draw studies of one or two settings with all others equal: learning rates, and capacity."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from agents.algorithms.table import without_other_algorithms
from agents.evaluation.statistics import Interval, mean_interval
from agents.settings.schema import Settings
from benchmarks.measures.figures import LONG_WINDOW
from benchmarks.measures.metrics import METRICS, Metric
from benchmarks.measures.row import Row
from benchmarks.measures.series import LABELS
from benchmarks.report.drawing import (
    DASHES,
    SYMBOLS,
    Drawing,
    Numbers,
    colour,
    drawing,
    exact,
    return_axis,
    squeezed_below,
    with_interval,
)
from benchmarks.suite.cases import AS_REPORTED

MIN_RATES = 3  # fewest learning rates that are drawn as a line
MAP_METRICS = ("score", "test_return", "training_minutes", "test_tokens", "policy_mb")


def group_rows(rows: Iterable[Row], *varied: str) -> list[list[Row]]:
    """Group rows whose settings are equal except for the seed and the `varied` names, in any section.

    Runs from the weights of others and runs that diverged are left out.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.start is None and row.diverged is None:
            fixed = _without(_comparable(row.settings), {"seed", "name", *varied})
            groups.setdefault(json.dumps(fixed, sort_keys=True, default=str), []).append(row)
    return list(groups.values())


def _comparable(settings: Settings) -> dict[str, Any]:
    """Return the settings that affect the course of a training.

    The implementation of plain logits is dropped, and the number of episodes if the learning rate is constant.
    """
    content = without_other_algorithms(settings, settings.algorithm)
    if settings.policy.head == "stock":
        content["policy"] = {**content["policy"], "head": "fast"}
    if settings.hyperparameters.learning_rate_schedule == "constant":
        del content["episodes"]
    return content


def _without(settings: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Remove these keys from a nested dict."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in settings.items()
        if key not in names
    }


def learning_rates(rows: Iterable[Row]) -> Drawing | None:
    """Draw the final return against the learning rate; None if no group has three rates with all else equal.

    If trainings differ in length, all are compared at the length of the shortest.
    """
    studies = [_group_by(_rate, group) for group in group_rows(rows, "learning_rate")]
    traces: list[go.Scatter] = []
    table = []
    for by_rate in studies:
        if len(by_rate) < MIN_RATES:
            continue
        study = [row for of_rate in by_rate.values() for row in of_rate]
        length = min(len(row.returns) for row in study)
        name = f"{_study_name(study)}, {length:,} episodes"
        returns = {rate: [_mean_before(row, length) for row in of_rate] for rate, of_rate in by_rate.items()}
        traces += _rate_traces(name, study[0].case.partition("/")[0], returns)
        table += [
            [name, f"{rate:.0e}", str(len(values)), with_interval(mean_interval(values), "+.2f")]
            for rate, values in returns.items()
        ]
    if not traces:
        return None
    layout = {
        "xaxis": {"title": "learning rate", "type": "log", "dtick": 1, "exponentformat": "power"},
        "yaxis": return_axis("mean return of the last 100 episodes"),
        "hovermode": "x unified",
    }
    alt_text = "Mean return of the last 100 training episodes against the learning rate, with 95 % intervals."
    return drawing(traces, layout, alt_text, Numbers(["", "learning rate", "seeds", "mean of the last 100"], table))


def _study_name(rows: list[Row]) -> str:
    """Return the name of the settings whose rate varies: a labelled case among the rows, else the first case."""
    cases = dict.fromkeys(row.case for row in rows)
    candidates = [case for case in cases if case.partition("/")[2] in LABELS] or list(cases)
    size, _, variant = candidates[0].partition("/")
    return f"{size} · {LABELS.get(variant, variant.partition('-rate')[0])}"


def _mean_before(row: Row, episodes: int) -> float:
    """Return the mean return of the 100 episodes that end at this number of episodes."""
    return float(np.mean(row.returns[max(0, episodes - LONG_WINDOW) : episodes]))


def _rate_traces(name: str, size: str, returns: dict[float, list[float]]) -> Iterator[go.Scatter]:
    """Yield the band, the mean, and points of the single seeds, which are hidden at first."""
    rates, intervals = list(returns), [mean_interval(values) for values in returns.values()]
    group = {"legendgroup": name, "x": exact(rates)}
    line = {
        "color": colour(size),
        "width": 2.2,
        "dash": DASHES[AS_REPORTED] if LABELS[AS_REPORTED] in name else "solid",
    }
    symbol = SYMBOLS.get(size, "cross")
    low, high = np.array([_bounds(interval) for interval in intervals]).T
    yield go.Scatter(
        group | {"x": exact([*rates, *rates[::-1]])},
        y=squeezed_below([*high, *low[::-1]]),
        fill="toself",
        fillcolor=colour(size, "band"),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    yield go.Scatter(
        group,
        y=squeezed_below([interval.estimate for interval in intervals]),
        customdata=[with_interval(interval, "+.2f") for interval in intervals],
        name=name,
        mode="lines+markers",
        line=line,
        marker={"symbol": symbol, "size": 9},
        hovertemplate="%{customdata}",
    )
    yield go.Scatter(
        group | {"x": exact([rate for rate, values in returns.items() for _ in values])},
        y=squeezed_below([value for values in returns.values() for value in values]),
        mode="markers",
        marker={"color": colour(size), "symbol": f"{symbol}-open", "size": 6},
        hoverinfo="skip",
        showlegend=False,
        visible=False,
        meta={"seeds": True},
    )


def _bounds(interval: Interval) -> tuple[float, float]:
    """Return the bounds of a band; both equal the mean if the interval is unknown."""
    return (interval.low, interval.high) if np.isfinite(interval.low) else (interval.estimate, interval.estimate)


def capacity_map(rows: Iterable[Row]) -> Drawing | None:
    """Draw heat maps of metrics by hidden units and vocabulary; None if no two of both vary with all else equal."""
    groups = [group for group in group_rows(rows, "hidden", "vocab_size") if _is_grid(group)]
    if not groups:
        return None
    grid = max(groups, key=len)
    widths, vocabularies = list(_group_by(_width, grid)), list(_group_by(_vocabulary, grid))
    by_cell = _group_by(lambda row: (_width(row), _vocabulary(row)), grid)
    traces, table = [], []
    for metric in (METRICS[name] for name in MAP_METRICS):
        means = {
            cell: mean_interval([float(metric.compute(row) or 0.0) for row in of_cell])
            for cell, of_cell in by_cell.items()
        }
        cells = [[means.get((width, vocabulary)) for vocabulary in vocabularies] for width in widths]
        texts = [["—" if cell is None else with_interval(cell, metric.format_spec) for cell in row] for row in cells]
        traces.append(_heat_map(metric, cells, texts, [_units(width) for width in widths], vocabularies))
        table += [[metric.label, _units(width), *row] for width, row in zip(widths, texts, strict=True)]
    layout = {
        "xaxis": {"title": "vocabulary", "type": "category", "showgrid": False},
        "yaxis": {"title": "hidden units", "type": "category", "showgrid": False},
        "hovermode": "closest",
    }
    alt_text = "A map of what agents reach, by hidden units and vocabulary, all else alike."
    heading = ["", "hidden units", *map(_tokens, vocabularies)]
    return drawing(traces, layout, alt_text, Numbers(heading, table), [METRICS[name].label for name in MAP_METRICS])


def _heat_map(
    metric: Metric,
    cells: list[list[Interval | None]],
    texts: list[list[str]],
    widths: list[str],
    vocabularies: list[int],
) -> go.Heatmap:
    return go.Heatmap(
        x=list(map(_tokens, vocabularies)),
        y=widths,
        z=exact([[np.nan if cell is None else cell.estimate for cell in line] for line in cells]),
        text=texts,
        texttemplate="%{text}",
        hovertemplate=f"{metric.label}: %{{text}}<br>%{{y}} units, %{{x}}<extra></extra>",
        colorscale="Cividis",
        reversescale=metric.better < 0,
        showscale=False,
        xgap=3,
        ygap=3,
        meta={"view": metric.label},
    )


def _is_grid(rows: list[Row]) -> bool:
    """Return whether the rows have at least two widths and two vocabularies."""
    return min(len(set(map(_width, rows))), len(set(map(_vocabulary, rows)))) > 1


def _group_by(key: Callable[[Row], Any], rows: Iterable[Row]) -> dict[Any, list[Row]]:
    """Group rows by a key, in sorted order of the keys."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def _rate(row: Row) -> float:
    return float(row.settings.hyperparameters.learning_rate)


def _width(row: Row) -> tuple[int, ...]:
    return tuple(row.settings.policy.hidden)


def _units(width: tuple[int, ...]) -> str:
    return " + ".join(map(str, width))


def _vocabulary(row: Row) -> int:
    return row.settings.env.vocab_size


def _tokens(vocabulary: int) -> str:
    return f"{vocabulary:,} tokens"
