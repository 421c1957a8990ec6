"""Draw training curves: returns, losses and distinct tokens."""

import html
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from agents.evaluation.statistics import Interval
from benchmarks.measures import series
from benchmarks.measures.figures import optimum
from benchmarks.measures.row import Row
from benchmarks.measures.series import Runs, Series
from benchmarks.report.drawing import (
    Drawing,
    Numbers,
    colour,
    dash,
    drawing,
    exact,
    loss_axis,
    return_axis,
    squeezed,
    squeezed_below,
    title,
    with_interval,
)
from benchmarks.suite.case import Case

TABLE_SHARES = (0.25, 0.5, 0.75, 1.0)  # shares of a training listed in the tables
SEED_POINTS = 125  # largest number of points of a single seed's curve


class Axis(NamedTuple):
    """The scale, number formats and layout of a y axis."""

    format_spec: str  # Python format specification in the table
    hover: str  # D3 format specification of hover labels
    scale: Callable[[ArrayLike], NDArray[np.float32]] = exact  # maps values to axis positions
    layout: dict[str, Any] = {}  # noqa: RUF012 (never changed)


RETURNS = Axis("+.2f", "+.2f", squeezed_below, return_axis("mean return of 100 episodes"))
LOSSES = Axis(".3g", ".3~g", squeezed, loss_axis("loss of an update"))
TOKENS = Axis(
    ",.0f", ",.0f", exact, {"title": "different tokens in a rollout", "rangemode": "tozero", "tickformat": ","}
)


def learning_curves(runs: Runs) -> Drawing:
    """Draw the running mean return of each case, and the optimum of each size."""
    alt_text = "Learning curves: mean return of 100 training episodes against episodes played, with 95 % intervals."
    return _curves(runs, series.returns, RETURNS, alt_text, _optima(runs))


def loss_curves(runs: Runs) -> Drawing:
    """Draw the loss of every update."""
    alt_text = "Loss curves: the loss of each update against episodes played, with 95 % intervals."
    return _curves(runs, series.losses, LOSSES, alt_text)


def token_curves(runs: Runs) -> Drawing:
    """Draw the number of distinct tokens in the rollout of every update."""
    alt_text = "Different tokens said in the rollout of each update against episodes played, with 95 % intervals."
    return _curves(runs, series.tokens, TOKENS, alt_text)


def _curves(
    runs: Runs, compute: Callable[[list[Row]], Series], axis: Axis, alt_text: str, more: Iterable[go.Scatter] = ()
) -> Drawing:
    curves = [(case, compute(rows)) for case, rows in runs]
    traces = [trace for case, curve in curves for trace in _traces(case, curve, axis)]
    heading = ["", "seeds", *(f"at {share:.0%} of the training" for share in TABLE_SHARES)]
    rows = [[title(case), str(len(curve.values)), *_table_cells(curve, axis)] for case, curve in curves]
    layout = {
        "xaxis": {"title": "training episodes", "rangemode": "tozero", "tickformat": ",d", "nticks": 7},
        "yaxis": axis.layout,
        "hovermode": "x unified",
    }
    return drawing([*traces, *more], layout, alt_text, Numbers(heading, rows))


def _traces(case: Case, curve: Series, axis: Axis) -> Iterator[go.Scatter]:
    """Yield the band, the mean, and thin lines of the single seeds, which are hidden at first."""
    episodes, band = exact(curve.episodes), curve.band
    group = {"legendgroup": case.name, "x": episodes}
    if np.isfinite(band.low).any():
        outline = np.concatenate([band.high, band.low[::-1]])
        yield go.Scatter(
            group | {"x": np.concatenate([episodes, episodes[::-1]])},
            y=axis.scale(outline),
            fill="toself",
            fillcolor=colour(case.size, "band"),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
    yield go.Scatter(
        group,
        y=axis.scale(band.mean),
        customdata=np.column_stack([exact(values) for values in band]),
        name=title(case),
        mode="lines",
        line={"color": colour(case.size), "width": 2.2, "dash": dash(case)},
        hovertemplate=f"%{{customdata[0]:{axis.hover}}} [%{{customdata[1]:{axis.hover}}}, "
        f"%{{customdata[2]:{axis.hover}}}]",
    )
    yield _seeds(case, curve, axis, group)


def _seeds(case: Case, curve: Series, axis: Axis, group: dict[str, Any]) -> go.Scatter:
    """Build one trace of all seeds, separated by gaps."""
    every_nth = slice(None, None, -(-len(curve.episodes) // SEED_POINTS))
    values = curve.values[:, every_nth]
    gap = np.full((len(values), 1), np.nan)
    return go.Scatter(
        group | {"x": np.tile(np.append(exact(curve.episodes[every_nth]), np.nan), len(values))},
        y=axis.scale(np.hstack([values, gap]).ravel()),
        mode="lines",
        line={"color": colour(case.size), "width": 0.8, "dash": dash(case)},
        opacity=0.55,
        hoverinfo="skip",
        showlegend=False,
        visible=False,
        meta={"seeds": True},
    )


def _optima(runs: Runs) -> Iterator[go.Scatter]:
    """Yield a horizontal line at the optimum of each size."""
    for place, size in enumerate(dict.fromkeys(case.size for case, _ in runs)):
        rows = [row for case, of_case in runs if case.size == size for row in of_case]
        level, last = optimum(rows[0]), max(len(row.returns) for row in rows)
        yield go.Scatter(
            x=[0, last],
            y=squeezed_below([level, level]),
            customdata=[level, level],
            name="optimum of its problems",
            legendgroup="optimum",
            showlegend=place == 0,
            mode="lines",
            line={"color": colour(size), "width": 1, "dash": "longdashdot"},
            hovertemplate=f"%{{customdata:+.2f}}<extra>{html.escape(size)} · optimum</extra>",
        )


def _table_cells(curve: Series, axis: Axis) -> list[str]:
    """Format mean and interval at the `TABLE_SHARES` of the training."""
    band, last = curve.band, len(curve.episodes) - 1
    indices = [round(share * last) for share in TABLE_SHARES]
    intervals = [Interval(band.mean[index], band.low[index], band.high[index]) for index in indices]
    return [with_interval(interval, axis.format_spec) for interval in intervals]
