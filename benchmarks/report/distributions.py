"""Draw distributions of training returns: in each tenth of the training, and in the last 100 episodes."""

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from benchmarks.measures.figures import LONG_WINDOW
from benchmarks.measures.row import Row
from benchmarks.measures.series import LABELS, Runs, whole_runs, without_reported_settings
from benchmarks.report.drawing import (
    Drawing,
    Numbers,
    colour,
    dash,
    drawing,
    exact,
    return_axis,
    squeezed_below,
    title,
)
from benchmarks.suite.case import Case
from benchmarks.suite.reported import reported

PARTS = 10  # parts of a training
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STEP = 2.6  # distance between the boxes of two sizes, per cent of the training
BIN = 0.1  # width of a histogram bin, return


def returns_by_tenth(runs: Runs) -> Drawing:
    """Draw box plots of the returns in each tenth of the training over all seeds, and the reported ranges."""
    sizes = list(dict.fromkeys(case.size for case, _ in runs))
    variants = list(dict.fromkeys(case.variant for case, _ in runs))
    views = [LABELS.get(variant, variant) for variant in reversed(variants)]  # our preset first
    quantiles = [(case, _quantiles(rows)) for case, rows in whole_runs(runs)]
    traces = [
        _boxes(case, values, (sizes.index(case.size) - (len(sizes) - 1) / 2) * STEP) for case, values in quantiles
    ]
    layout = {
        "xaxis": {"title": "share of the training, %", "range": [0, 100], "dtick": 10},
        "yaxis": return_axis("return of an episode"),
        "hovermode": "closest",
    }
    rows = [
        [title(case), f"{place * 10}–{place * 10 + 10} %", *(f"{value:+.2f}".replace("-", "−") for value in tenth)]
        for case, values in quantiles
        for place, tenth in ((0, values[0]), (PARTS - 1, values[-1]))
    ]
    alt_text = (
        "Returns of training episodes in each tenth of the training: median, quartiles, and the range of the middle "
        "90 %, with the ranges that the report gave as outlines."
    )
    heading = ["", "episodes", *(f"{quantile:.0%} quantile" for quantile in QUANTILES)]
    return drawing([*_reported_ranges(sizes), *traces], layout, alt_text, Numbers(heading, rows), views)


def _quantiles(rows: list[Row]) -> NDArray[np.float64]:
    """Compute the quantiles of the returns in each tenth of the training, [tenths, quantiles]."""
    returns = np.array([row.returns for row in rows])
    return np.array([np.quantile(part, QUANTILES) for part in np.array_split(returns, PARTS, axis=1)])


def _boxes(case: Case, quantiles: NDArray[np.float64], shift: float) -> go.Box:
    positions = (np.arange(PARTS) + 0.5) * 100 / PARTS + shift
    lowest, q1, median, q3, highest = squeezed_below(quantiles).T
    labels = [" · ".join(f"{value:+.2f}" for value in tenth).replace("-", "−") for tenth in quantiles]
    return go.Box(
        x=exact(positions),
        lowerfence=lowest,
        q1=q1,
        median=median,
        q3=q3,
        upperfence=highest,
        width=STEP * 0.8,
        name=title(case),
        fillcolor=colour(case.size, "band"),
        line={"color": colour(case.size), "width": 1.4},
        text=labels,
        hoverinfo="name+text",
        meta={"view": LABELS.get(case.variant, case.variant)},
    )


def _reported_ranges(sizes: list[str]) -> Iterator[go.Scatter]:
    """Yield outlines of the reported range of returns in each phase."""
    for size in sizes:
        phases = reported().phases.get(size)
        if not phases:
            continue
        scale = 100 / phases[-1].last
        corners: list[tuple[float, float]] = []
        for phase in phases:
            left, right = phase.first * scale + 0.4, phase.last * scale - 0.4
            corners += [(left, phase.low), (left, phase.high), (right, phase.high), (right, phase.low)]
            corners += [(left, phase.low), (np.nan, np.nan)]
        x, y = np.array(corners).T
        yield go.Scatter(
            x=exact(x),
            y=squeezed_below(y),
            mode="lines",
            line={"color": colour(size), "width": 1, "dash": "dot"},
            name=f"{size} · reported range",
            hoverinfo="skip",
        )


def last_returns(runs: Runs) -> Drawing:
    """Draw histograms of the returns of the last 100 episodes over all seeds, with our presets."""
    traces, table = [], []
    for case, rows in whole_runs(without_reported_settings(runs)):
        returns = np.concatenate([row.returns[-LONG_WINDOW:] for row in rows])
        edges = np.arange(np.floor(returns.min() / BIN), np.ceil(returns.max() / BIN) + 2) * BIN
        shares = 100 * np.histogram(returns, edges)[0] / len(returns)
        traces.append(
            go.Scatter(
                x=exact(edges),
                y=exact(np.append(shares, 0.0)),
                name=title(case),
                mode="lines",
                line={"color": colour(case.size), "width": 1.8, "shape": "hv", "dash": dash(case)},
                fill="tozeroy",
                fillcolor=colour(case.size, "band"),
                hovertemplate=f"%{{y:.1f}} % from %{{x:.1f}} to {BIN:g} more",
            )
        )
        table.append([title(case), *(f"{value:+.2f}".replace("-", "−") for value in np.quantile(returns, QUANTILES))])
    layout = {
        "xaxis": {"title": "return of an episode"},
        "yaxis": {"title": f"episodes in {BIN:g} of return, %", "rangemode": "tozero"},
        "hovermode": "closest",
    }
    alt_text = "How the returns of the last 100 training episodes are distributed, over all seeds."
    heading = ["", *(f"{quantile:.0%} quantile" for quantile in QUANTILES)]
    return drawing(traces, layout, alt_text, Numbers(heading, table))
