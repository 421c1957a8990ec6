"""Draw what happens in the course of a training: returns, losses, the tokens that are said."""

import html
from collections.abc import Callable, Iterator
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

TOLD_AT = (0.25, 0.5, 0.75, 1.0)  # shares of a training that the tables tell of
SEED_POINTS = 125  # of the curve of a single seed


class Axis(NamedTuple):
    """How values are drawn, and how they are told."""

    form: str  # Python's format, of the table
    hover: str  # D3's, of the value under the mouse
    place: Callable[[ArrayLike], NDArray[np.float32]] = exact  # from values to heights in the picture
    layout: dict[str, Any] = {}  # noqa: RUF012 (never changed)


RETURNS = Axis("+.2f", "+.2f", squeezed_below, return_axis("mean return of 100 episodes"))
LOSSES = Axis(".3g", ".3~g", squeezed, loss_axis("loss of an update"))
TOKENS = Axis(
    ",.0f", ",.0f", exact, {"title": "different tokens in a rollout", "rangemode": "tozero", "tickformat": ","}
)


def learning_curves(runs: Runs) -> Drawing:
    """The running mean of the returns, and what could be earned at most."""
    says = "Learning curves: mean return of 100 training episodes against episodes played, with 95 % intervals."
    return _curves(runs, series.returns, RETURNS, says, list(_optima(runs)))


def loss_curves(runs: Runs) -> Drawing:
    """The loss of every update."""
    says = "Loss curves: the loss of each update against episodes played, with 95 % intervals."
    return _curves(runs, series.losses, LOSSES, says)


def token_curves(runs: Runs) -> Drawing:
    """The different tokens that were said in the rollout of every update."""
    says = "Different tokens said in the rollout of each update against episodes played, with 95 % intervals."
    return _curves(runs, series.tokens, TOKENS, says)


def _curves(
    runs: Runs, of: Callable[[list[Row]], Series], axis: Axis, says: str, more: list[go.Scatter] | None = None
) -> Drawing:
    curves = [(case, of(rows)) for case, rows in runs]
    traces = [trace for case, curve in curves for trace in _traces(case, curve, axis)]
    heading = ["", "seeds", *(f"at {share:.0%} of the training" for share in TOLD_AT)]
    rows = [[title(case), str(len(curve.values)), *_told(curve, axis)] for case, curve in curves]
    layout = {
        "xaxis": {"title": "training episodes", "rangemode": "tozero", "tickformat": ",d", "nticks": 7},
        "yaxis": axis.layout,
        "hovermode": "x unified",
    }
    return drawing([*traces, *(more or [])], layout, says, Numbers(heading, rows))


def _traces(case: Case, curve: Series, axis: Axis) -> Iterator[go.Scatter]:
    """A band, a line, and a thin line for every seed, which readers may show."""
    at, band = exact(curve.at), curve.band
    group = {"legendgroup": case.name, "x": at}
    if np.isfinite(band.low).any():
        around = np.concatenate([band.high, band.low[::-1]])
        yield go.Scatter(
            group | {"x": np.concatenate([at, at[::-1]])},
            y=axis.place(around),
            fill="toself",
            fillcolor=colour(case.size, "band"),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
    yield go.Scatter(
        group,
        y=axis.place(band.mean),
        customdata=np.column_stack([exact(values) for values in band]),
        name=title(case),
        mode="lines",
        line={"color": colour(case.size), "width": 2.2, "dash": dash(case)},
        hovertemplate=f"%{{customdata[0]:{axis.hover}}} [%{{customdata[1]:{axis.hover}}}, "
        f"%{{customdata[2]:{axis.hover}}}]",
    )
    yield _seeds(case, curve, axis, group)


def _seeds(case: Case, curve: Series, axis: Axis, group: dict[str, Any]) -> go.Scatter:
    """All seeds as one trace with gaps in between."""
    kept = slice(None, None, -(-len(curve.at) // SEED_POINTS))
    thinned = curve.values[:, kept]
    gap = np.full((len(thinned), 1), np.nan)
    return go.Scatter(
        group | {"x": np.tile(np.append(exact(curve.at[kept]), np.nan), len(thinned))},
        y=axis.place(np.hstack([thinned, gap]).ravel()),
        mode="lines",
        line={"color": colour(case.size), "width": 0.8, "dash": dash(case)},
        opacity=0.55,
        hoverinfo="skip",
        showlegend=False,
        visible=False,
        meta={"seeds": True},
    )


def _optima(runs: Runs) -> Iterator[go.Scatter]:
    """The most that can be earned, as a level a size."""
    for place, size in enumerate(dict.fromkeys(case.size for case, _ in runs)):
        rows = [row for case, found in runs if case.size == size for row in found]
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


def _told(curve: Series, axis: Axis) -> list[str]:
    band, last = curve.band, len(curve.at) - 1
    places = [round(share * last) for share in TOLD_AT]
    return [with_interval(Interval(band.mean[place], band.low[place], band.high[place]), axis.form) for place in places]
