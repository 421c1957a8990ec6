"""Find rows in which one or two settings vary and all others stay, and draw them: learning rates, capacity."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from agents.algorithms.table import without_others
from agents.evaluation.statistics import Interval, mean_interval
from agents.settings.schema import Settings
from benchmarks.measures.figures import LAST
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

LEAST_RATES = 3  # that make a study of learning rates
MAP_METRICS = ("score", "test_return", "training_minutes", "test_tokens", "policy_mb")


def alike(rows: Iterable[Row], *but_for: str) -> list[list[Row]]:
    """Rows in groups whose settings differ in these names only, wherever they stand, and in the seed."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.start is None:
            kept = _without(_comparable(row.settings), {"seed", "name", *but_for})
            groups.setdefault(json.dumps(kept, sort_keys=True, default=str), []).append(row)
    return list(groups.values())


def _comparable(settings: Settings) -> dict[str, Any]:
    """The settings, but for what changes no training: whose code computes plain logits, and how early it ends."""
    told = without_others(settings, settings.algorithm)
    if settings.policy.head == "stock":
        told["policy"] = {**told["policy"], "head": "fast"}
    if settings.hyperparameters.learning_rate_schedule == "constant":
        del told["episodes"]
    return told


def _without(settings: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in settings.items()
        if key not in names
    }


def learning_rates(rows: Iterable[Row]) -> Drawing | None:
    """What is earned by the learning rate; None if no three rates were tried with all else alike.

    Where trainings are of different lengths, all count as far as the shortest goes.
    """
    studies = [_by(_rate, group) for group in alike(rows, "learning_rate")]
    traces: list[go.Scatter] = []
    told = []
    for by_rate in studies:
        if len(by_rate) < LEAST_RATES:
            continue
        some = [row for found in by_rate.values() for row in found]
        length = min(len(row.returns) for row in some)
        name = f"{_study_name(some)}, {length:,} episodes"
        returns = {rate: [_mean_before(row, length) for row in found] for rate, found in by_rate.items()}
        traces += _rate_traces(name, some[0].case.partition("/")[0], returns)
        told += [
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
    says = "Mean return of the last 100 training episodes against the learning rate, with 95 % intervals."
    return drawing(traces, layout, says, Numbers(["", "learning rate", "seeds", "mean of the last 100"], told))


def _study_name(rows: list[Row]) -> str:
    """Whose settings the rate varies: those of the one case among them that is known by them."""
    cases = dict.fromkeys(row.case for row in rows)
    known = [case for case in cases if case.partition("/")[2] in LABELS] or list(cases)
    size, _, variant = known[0].partition("/")
    return f"{size} · {LABELS.get(variant, variant)}"


def _mean_before(row: Row, episodes: int) -> float:
    """The mean return of the 100 episodes before so many were played."""
    return float(np.mean(row.returns[max(0, episodes - LAST) : episodes]))


def _rate_traces(name: str, size: str, returns: dict[float, list[float]]) -> Iterator[go.Scatter]:
    """A band, a line, and a point for every seed, which readers may show."""
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
    """Of a band that is as thin as its line where there is no interval."""
    return (interval.low, interval.high) if np.isfinite(interval.low) else (interval.estimate, interval.estimate)


def capacity_map(rows: Iterable[Row]) -> Drawing | None:
    """What agents of each width reach in each vocabulary; None if no two of both were tried with all else alike."""
    groups = [group for group in alike(rows, "hidden", "vocab_size") if _is_grid(group)]
    if not groups:
        return None
    grid = max(groups, key=len)
    widths, vocabularies = list(_by(_width, grid)), list(_by(_vocabulary, grid))
    by_place = _by(lambda row: (_width(row), _vocabulary(row)), grid)
    traces, told = [], []
    for metric in (METRICS[name] for name in MAP_METRICS):
        found = {
            place: mean_interval([float(metric.of(row) or 0.0) for row in of_place])
            for place, of_place in by_place.items()
        }
        cells = [[found.get((width, vocabulary)) for vocabulary in vocabularies] for width in widths]
        words = [["—" if cell is None else with_interval(cell, metric.form) for cell in line] for line in cells]
        traces.append(_heat(metric, cells, words, [_units(width) for width in widths], vocabularies))
        told += [[metric.label, _units(width), *line] for width, line in zip(widths, words, strict=True)]
    layout = {
        "xaxis": {"title": "vocabulary", "type": "category", "showgrid": False},
        "yaxis": {"title": "hidden units", "type": "category", "showgrid": False},
        "hovermode": "closest",
    }
    says = "A map of what agents reach, by hidden units and vocabulary, all else alike."
    heading = ["", "hidden units", *map(_tokens, vocabularies)]
    return drawing(traces, layout, says, Numbers(heading, told), [METRICS[name].label for name in MAP_METRICS])


def _heat(
    metric: Metric,
    cells: list[list[Interval | None]],
    words: list[list[str]],
    widths: list[str],
    vocabularies: list[int],
) -> go.Heatmap:
    return go.Heatmap(
        x=list(map(_tokens, vocabularies)),
        y=widths,
        z=exact([[np.nan if cell is None else cell.estimate for cell in line] for line in cells]),
        text=words,
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
    return min(len(set(map(_width, rows))), len(set(map(_vocabulary, rows)))) > 1


def _by(key: Callable[[Row], Any], rows: Iterable[Row]) -> dict[Any, list[Row]]:
    """The rows by a key, in the order of the keys."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return dict(sorted(found.items()))


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
