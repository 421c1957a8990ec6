"""Draw adequacy by rarity of the words, training speed, and score against training time."""

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
from benchmarks.measures.series import Runs, whole_runs, without_reported_settings
from benchmarks.report.drawing import SYMBOLS, Drawing, Numbers, colour, drawing, exact, title, with_interval
from benchmarks.suite.case import Case
from benchmarks.suite.cases import AS_REPORTED
from benchmarks.suite.reported import reported
from token_env import SIZES

MINUTES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # ticks of the training-time axis
SPEEDS = ("episodes_per_minute", "steps_per_second", "training_minutes")
REPORTED_MARK = {"symbol": "line-ns-open", "size": 22, "line": {"width": 3}, "color": "var(--reported)"}
TIED, OTHER = "tied head", "other vocabularies"
NO_ERROR = 0.0  # half-width drawn if the interval is unknown


def rarity(runs: Runs) -> Drawing:
    """Draw the adequacy recovered on each quarter of the words, by our presets and by `greedy`."""
    quarters = list(QUARTERS)
    traces, marks, table = [], [], []
    for place, (case, rows) in enumerate(whole_runs(without_reported_settings(runs))):
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
        marks.append(_greedy_marks(quarters, greedy, case, place == 0))
        table.append([title(case), *(with_interval(interval, ".1f") for interval in intervals)])
        table.append([f"greedy on {case.size}", *(f"{share:.1f}" for share in greedy)])
    alt_text = "Adequacy recovered on test problems, in per cent, by how rare the words are."
    layout = {
        "barmode": "group",
        "scattermode": "group",
        "bargap": 0.25,
        "yaxis": {"title": "adequacy recovered, %", "range": [0, 100]},
        "xaxis": {"title": "quarters of the words, by how common they are", "showgrid": False},
        "hovermode": "x unified",
    }
    return drawing([*traces, *marks], layout, alt_text, Numbers(["", *quarters], table))


def _recovered(rows: list[Row], quarter: int) -> Interval:
    return mean_interval([100 * (row.held_out[GREEDY].adequacy_by_rarity[quarter] or 0.0) for row in rows])


def _greedy_marks(quarters: list[str], shares: list[float], case: Case, in_legend: bool) -> go.Scatter:
    return go.Scatter(
        x=quarters,
        y=exact(shares),
        name="reference greedy",
        legendgroup="greedy",
        showlegend=in_legend,
        offsetgroup=case.name,
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 15, "line": {"width": 2.5}, "color": "var(--ink)"},
        hovertemplate=f"{case.size}: %{{y:.1f}} %",
    )


def speed(runs: Runs, frame: pd.DataFrame) -> Drawing:
    """Draw the training speed of each case, with marks at the reported figures from another machine."""
    metrics = [METRICS[name] for name in SPEEDS]
    traces = [trace for metric in metrics for trace in _speed_traces(runs, frame, metric)]
    rows = [
        [title(case), *(with_interval(_mean(frame, case, metric), metric.format_spec) for metric in metrics)]
        for case, _ in runs
    ]
    layout = {
        "xaxis": {"tickformat": ",", "nticks": 6},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "barmode": "overlay",
        "hovermode": "closest",
        "meta": {"views": {metric.label: _axis_of(frame, metric) for metric in metrics}},
    }
    alt_text = "Training speed of every case on one thread, with 95 % intervals, beside what the report said."
    views = [metric.label for metric in metrics]
    return drawing(traces, layout, alt_text, Numbers(["", *views], rows), views)


def _speed_traces(runs: Runs, frame: pd.DataFrame, metric: Metric) -> Iterator[go.Bar | go.Scatter]:
    """Yield the bars of a metric, their labels, and marks at the reported figures."""
    intervals = [_mean(frame, case, metric) for case, _ in runs]
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
        text=[f" {with_interval(interval, metric.format_spec)}" for interval in intervals],
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        meta={"view": metric.label},
    )
    figures = [reported().figures.get(case.size, {}).get(metric.name) for case, _ in runs]
    marks = [(name, figure) for name, figure in zip(names, figures, strict=True) if figure is not None]
    if marks:
        yield go.Scatter(
            x=exact([float(figure) for _, figure in marks]),
            y=[name for name, _ in marks],
            mode="markers",
            marker=REPORTED_MARK,
            name="reported, on an Apple GPU",
            legendgroup="reported",
            hovertemplate="reported: %{x:,}<extra></extra>",
            meta={"view": metric.label},
        )


def _axis_of(frame: pd.DataFrame, metric: Metric) -> dict[str, Any]:
    """Build the x axis of a metric, with space for a label beside the longest bar."""
    return {"xaxis": {"title": {"text": metric.label}, "range": [0, 1.4 * float(frame[metric.name].max())]}}


def time_and_score(rows: Iterable[Row]) -> Drawing:
    """Draw the score of every run against its training time; runs with a score below zero are not drawn."""
    minutes, score = METRICS["training_minutes"], METRICS["score"]
    figures = [
        (row, float(minutes.compute(row) or 0.0), float(score.compute(row) or 0.0))
        for row in rows
        if row.start is None and row.diverged is None
    ]
    points = [point for point in figures if point[2] >= 0]
    traces = []
    for size, head in sorted({_kind(row) for row, _, _ in points}, key=lambda kind: (kind[1] != TIED, kind[0])):
        group = [point for point in points if _kind(point[0]) == (size, head)]
        traces.append(
            go.Scatter(
                x=exact([run_minutes for _, run_minutes, _ in group]),
                y=exact([run_score for _, _, run_score in group]),
                name=f"{size}, {head}",
                mode="markers",
                marker={
                    "color": colour(size),
                    "symbol": SYMBOLS.get(size, "cross") + ("" if head == TIED else "-open"),
                    "size": 8,
                    "opacity": 0.8,
                },
                customdata=[html.escape(f"{row.case}, seed {row.seed}") for row, _, _ in group],
                hovertemplate="%{customdata}: %{y:.1f} % in %{x:.2f} min<extra></extra>",
            )
        )
    table = [
        [
            row.case,
            str(row.seed),
            f"{run_minutes:{minutes.format_spec}}",
            f"{run_score:{score.format_spec}}".replace("-", "−"),
        ]
        for row, run_minutes, run_score in figures
    ]
    layout = {
        "xaxis": {"title": "training time, minutes", "type": "log", "tickvals": MINUTES},
        "yaxis": {"title": "score, % of the optimum"},
        "hovermode": "closest",
    }
    alt_text = "Score of every run against its training time; runs that score below zero are not drawn."
    return drawing(traces, layout, alt_text, Numbers(["", "seed", minutes.label, score.label], table))


def _kind(row: Row) -> tuple[str, str]:
    """Return the size with the run's vocabulary and steps, and the kind of its head."""
    env = row.settings.env
    sizes = [
        name
        for name, task in SIZES.items()
        if (task["vocab_size"], task["max_steps"]) == (env.vocab_size, env.max_steps)
    ]
    return sizes[0] if sizes else OTHER, TIED if row.settings.policy.head == "tied" else "plain logits"


def _mean(frame: pd.DataFrame, case: Case, metric: Metric) -> Interval:
    return mean_interval(frame.loc[frame["case"] == case.name, metric.name].astype(float))


def _halves(intervals: list[Interval]) -> list[float]:
    return [NO_ERROR if np.isnan(interval.half_width) else round(interval.half_width, 4) for interval in intervals]
