"""Draw what trained agents reach: the rare words, the speed, and what training time buys."""

import html
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from agents.evaluation.scores import GREEDY
from agents.evaluation.statistics import Interval, mean_interval
from benchmarks.measures.figures import QUARTERS
from benchmarks.measures.metrics import METRICS, Metric
from benchmarks.measures.row import Row
from benchmarks.measures.series import Runs, ours
from benchmarks.report.drawing import SYMBOLS, Drawing, Numbers, colour, drawing, exact, title, with_interval
from benchmarks.suite.case import Case
from benchmarks.suite.cases import AS_REPORTED
from benchmarks.suite.reported import reported
from token_env import SIZES

MINUTES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # ticks
SPEEDS = ("episodes_per_minute", "steps_per_second", "training_minutes")
REPORTED_MARK = {"symbol": "line-ns-open", "size": 22, "line": {"width": 3}, "color": "var(--reported)"}
TIED, OTHER = "tied head", "other vocabularies"
NO_ERROR = 0.0  # half of an interval that one seed cannot give


def rarity(runs: Runs) -> Drawing:
    """Adequacy recovered on each quarter of the words, of all but the report's settings, beside `greedy`."""
    quarters = list(QUARTERS)
    traces, marks, told = [], [], []
    for place, (case, rows) in enumerate(ours(runs)):
        intervals = [_recovered(rows, quarter) for quarter in range(len(QUARTERS))]
        traces.append(
            go.Bar(
                x=quarters,
                y=exact([interval.estimate for interval in intervals]),
                error_y={"array": _halves(intervals), "thickness": 1.5, "color": "var(--ink)"},
                name=title(case),
                offsetgroup=case.name,
                marker={"color": colour(case.size)},
                hovertemplate="%{y:.1f} ± %{error_y.array:.1f} %",
            )
        )
        greedy = [100 * (share or 0.0) for share in rows[0].held_out["greedy"].adequacy_by_rarity]
        marks.append(_greedy(quarters, greedy, case, place == 0))
        told.append([title(case), *(with_interval(interval, ".1f") for interval in intervals)])
        told.append([f"greedy on {case.size}", *(f"{share:.1f}" for share in greedy)])
    says = "Adequacy recovered on test problems, in per cent, by how rare the words are."
    layout = {
        "barmode": "group",
        "scattermode": "group",
        "bargap": 0.25,
        "yaxis": {"title": "adequacy recovered, %", "range": [0, 100]},
        "xaxis": {"title": "quarters of the words, by how common they are", "showgrid": False},
        "hovermode": "x unified",
    }
    return drawing([*traces, *marks], layout, says, Numbers(["", *quarters], told))


def _recovered(rows: list[Row], quarter: int) -> Interval:
    return mean_interval([100 * (row.held_out[GREEDY].adequacy_by_rarity[quarter] or 0.0) for row in rows])


def _greedy(quarters: list[str], shares: list[float], case: Case, named: bool) -> go.Scatter:
    return go.Scatter(
        x=quarters,
        y=exact(shares),
        name="reference greedy",
        legendgroup="greedy",
        showlegend=named,
        offsetgroup=case.name,
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 15, "line": {"width": 2.5}, "color": "var(--ink)"},
        hovertemplate=f"{case.size}: %{{y:.1f}} %",
    )


def speed(runs: Runs, frame: pd.DataFrame) -> Drawing:
    """How fast each case trains; what the report said, of another machine, as marks."""
    metrics = [METRICS[name] for name in SPEEDS]
    traces = [trace for metric in metrics for trace in _speed_of(runs, frame, metric)]
    rows = [
        [title(case), *(with_interval(_of_case(frame, case, metric), metric.form) for metric in metrics)]
        for case, _ in runs
    ]
    layout = {
        "xaxis": {"tickformat": ",", "nticks": 6},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "barmode": "overlay",
        "hovermode": "closest",
        "meta": {"views": {metric.label: _axis_of(frame, metric) for metric in metrics}},
    }
    says = "Training speed of every case on one thread, with 95 % intervals, beside what the report said."
    views = [metric.label for metric in metrics]
    return drawing(traces, layout, says, Numbers(["", *views], rows), views)


def _speed_of(runs: Runs, frame: pd.DataFrame, metric: Metric) -> Iterator[go.Bar | go.Scatter]:
    intervals = [_of_case(frame, case, metric) for case, _ in runs]
    names = [title(case).replace(" · ", "<br>") for case, _ in runs]
    yield go.Bar(
        x=exact([interval.estimate for interval in intervals]),
        y=names,
        orientation="h",
        error_x={"array": _halves(intervals), "thickness": 1.5, "color": "var(--ink)"},
        marker={
            "color": [colour(case.size) for case, _ in runs],
            "pattern": {"shape": ["/" if case.variant == AS_REPORTED else "" for case, _ in runs]},
        },
        hoverinfo="skip",
        showlegend=False,
        meta={"view": metric.label},
    )
    yield go.Scatter(
        x=exact([interval.estimate if np.isnan(interval.high) else interval.high for interval in intervals]),
        y=names,
        text=[f" {with_interval(interval, metric.form)}" for interval in intervals],
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        meta={"view": metric.label},
    )
    told = [reported().figures.get(case.size, {}).get(metric.name) for case, _ in runs]
    known = [(name, figure) for name, figure in zip(names, told, strict=True) if figure is not None]
    if known:
        yield go.Scatter(
            x=exact([float(figure) for _, figure in known]),
            y=[name for name, _ in known],
            mode="markers",
            marker=REPORTED_MARK,
            name="reported, on an Apple GPU",
            legendgroup="reported",
            hovertemplate="reported: %{x:,}<extra></extra>",
            meta={"view": metric.label},
        )


def _axis_of(frame: pd.DataFrame, metric: Metric) -> dict[str, Any]:
    """The horizontal axis for a metric, with room for words beside the longest bar."""
    return {"xaxis": {"title": {"text": metric.label}, "range": [0, 1.4 * float(frame[metric.name].max())]}}


def time_and_score(rows: Iterable[Row]) -> Drawing:
    """Every run by what it cost and what it reached; runs that score below zero have no place on it."""
    minutes, score = METRICS["training_minutes"], METRICS["score"]
    figures = [(row, float(minutes.of(row) or 0.0), float(score.of(row) or 0.0)) for row in rows if row.start is None]
    shown = [one for one in figures if one[2] >= 0]
    traces = []
    for size, head in sorted({_kind(row) for row, _, _ in shown}, key=lambda kind: (kind[1] != TIED, kind[0])):
        listed = [one for one in shown if _kind(one[0]) == (size, head)]
        traces.append(
            go.Scatter(
                x=exact([cost for _, cost, _ in listed]),
                y=exact([reached for _, _, reached in listed]),
                name=f"{size}, {head}",
                mode="markers",
                marker={
                    "color": colour(size),
                    "symbol": SYMBOLS.get(size, "cross") + ("" if head == TIED else "-open"),
                    "size": 8,
                    "opacity": 0.8,
                },
                customdata=[html.escape(f"{row.case}, seed {row.seed}") for row, _, _ in listed],
                hovertemplate="%{customdata}: %{y:.1f} % in %{x:.2f} min<extra></extra>",
            )
        )
    told = [
        [row.case, str(row.seed), f"{cost:{minutes.form}}", f"{reached:{score.form}}".replace("-", "−")]
        for row, cost, reached in figures
    ]
    layout = {
        "xaxis": {"title": "training time, minutes", "type": "log", "tickvals": MINUTES},
        "yaxis": {"title": "score, % of the optimum"},
        "hovermode": "closest",
    }
    says = "Score of every run against its training time; runs that score below zero are not drawn."
    return drawing(traces, layout, says, Numbers(["", "seed", minutes.label, score.label], told))


def _kind(row: Row) -> tuple[str, str]:
    """Which task a run is of, by its vocabulary and steps, and which head it has."""
    env = row.settings.env
    sizes = [
        name
        for name, task in SIZES.items()
        if (task["vocab_size"], task["max_steps"]) == (env.vocab_size, env.max_steps)
    ]
    return sizes[0] if sizes else OTHER, TIED if row.settings.policy.head == "tied" else "plain logits"


def _of_case(frame: pd.DataFrame, case: Case, metric: Metric) -> Interval:
    return mean_interval(frame.loc[frame["case"] == case.name, metric.name].astype(float))


def _halves(intervals: list[Interval]) -> list[float]:
    return [NO_ERROR if np.isnan(interval.half_width) else round(interval.half_width, 4) for interval in intervals]
