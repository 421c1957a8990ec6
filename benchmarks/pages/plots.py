"""Draw learning curves, loss curves, reward progression, rarity and speed with matplotlib, as PNG and SVG."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from agents.cli.outputs import make_folder
from agents.evaluation.scores import GREEDY
from agents.evaluation.statistics import mean_interval
from benchmarks.measures import series
from benchmarks.measures.figures import QUARTERS
from benchmarks.measures.row import Row
from benchmarks.measures.series import LABELS, Runs, Series, by_case, label
from benchmarks.suite.case import Benchmark, Case
from benchmarks.suite.cases import AS_REPORTED
from benchmarks.suite.reported import reported
from token_env.files import write_bytes

COLOURS = ("#1f4e79", "#c55a11", "#2e7d32", "#6a1b9a")  # colours of variants or sizes, in order
LEVEL, REPORTED = "#757575", "#b71c1c"  # colours of reference levels and of reported figures
PHASE_QUANTILES = (0.05, 0.95)  # range of returns shown per phase


def write_plots(benchmark: Benchmark, rows: list[Row], folder: Path) -> list[Path]:
    """Write all plots of a benchmark into a folder; return the paths of the files.

    Args:
        benchmark: Benchmark that defines the order of the cases.
        rows: Results of the benchmark.
        folder: Output directory.

    Raises:
        SettingError: If the folder cannot be created.
    """
    runs = by_case(benchmark, rows)
    make_folder(folder)
    paths = []
    for name, draw in PLOTS.items():
        figure = draw(runs)
        for kind in ("png", "svg"):
            path = folder / f"{name}.{kind}"
            write_bytes(path, image(figure, kind))
            paths.append(path)
    return paths


def image(figure: Figure, kind: str) -> bytes:
    """Render a plot as the bytes of a "png" or "svg" file; equal input gives equal bytes."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "tokentask", "svg.fonttype": "none"}):
        figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()


def learning_curves(runs: Runs) -> Figure:
    """Plot the running mean return of 100 episodes with its 95 % interval over seeds; references as levels."""

    def draw(axes: Axes, case: Case, rows: list[Row], colour: str) -> None:
        _band(axes, series.returns(rows), colour, label(case))
        if case.variant != AS_REPORTED:
            for name in ("greedy", "fluent"):
                level = rows[0].held_out[name].mean_return
                axes.axhline(level, color=LEVEL, linewidth=1, linestyle="--")
                axes.annotate(
                    f"{name} {level:+.2f}",
                    (0.99, level),
                    xycoords=("axes fraction", "data"),
                    xytext=(0, -2),
                    textcoords="offset points",
                    ha="right",
                    va="top",
                    fontsize=8,
                    color=LEVEL,
                )

    return _size_by_size(runs, draw, "Learning curves", "return, mean of 100 episodes", linear_to=3.0)


def loss_curves(runs: Runs) -> Figure:
    """Plot the mean loss of every update with its 95 % interval over seeds."""

    def draw(axes: Axes, case: Case, rows: list[Row], colour: str) -> None:
        _band(axes, series.losses(rows), colour, label(case))

    return _size_by_size(runs, draw, "Loss curves", "loss of an update", linear_to=0.1)


def reward_progression(runs: Runs) -> Figure:
    """Plot the range of returns per phase of the training, as reported and as measured."""
    runs = [(case, rows) for case, rows in series.whole_runs(runs) if case.size in reported().phases]

    def draw(axes: Axes, case: Case, rows: list[Row], colour: str) -> None:
        phases = reported().phases[case.size]
        scale = len(rows[0].returns) / phases[-1].last  # phases of a shorter run keep their proportions
        shift = 0.28 * (1 + [other.name for other, _ in runs if other.size == case.size].index(case.name))
        for place, phase in enumerate(phases):
            if shift < 0.3:
                axes.vlines(
                    place,
                    phase.low,
                    phase.high,
                    color=REPORTED,
                    linewidth=9,
                    alpha=0.55,
                    label="reported" if place == 0 else "",
                )
            part = np.concatenate([row.returns[round(phase.first * scale) : round(phase.last * scale)] for row in rows])
            low, high = np.quantile(part, PHASE_QUANTILES)
            axes.vlines(place + shift, low, high, color=colour, linewidth=9, label=label(case) if place == 0 else "")
        axes.set_xticks(
            np.arange(len(phases)) + 0.28,
            [f"{phase.first * scale:,.0f}–\n{phase.last * scale:,.0f}" for phase in phases],
        )

    return _size_by_size(
        runs, draw, "Reward progression: reported ranges, and 90 % of the measured episodes", "return", linear_to=3.0
    )


def rarity(runs: Runs) -> Figure:
    """Plot the adequacy recovered on test problems per quarter of the words: our presets and `greedy`."""
    presets = series.whole_runs(series.without_reported_settings(runs))
    figure, axes = _single(
        "Adequacy recovered on test problems, by rarity of the words", "% of what the word itself earns"
    )
    width = 0.8 / len(presets)
    for place, (case, rows) in enumerate(presets):
        positions = np.arange(len(QUARTERS)) + (place - (len(presets) - 1) / 2) * width
        shares = [
            [100 * (row.held_out[GREEDY].adequacy_by_rarity[q] or 0.0) for row in rows] for q in range(len(QUARTERS))
        ]
        _bars(axes, positions, shares, width, COLOURS[place], f"{case.size}, {label(case)}, {_seeds([(case, rows)])}")
        greedy = [100 * (share or 0.0) for share in rows[0].held_out["greedy"].adequacy_by_rarity]
        axes.hlines(
            greedy,
            positions - width / 2,
            positions + width / 2,
            color="black",
            linewidth=1.5,
            label="" if place else "reference greedy",
        )
    axes.set_xticks(range(len(QUARTERS)), [f"{name} quarter" for name in QUARTERS])
    axes.legend(loc="upper right")
    return figure


def speed(runs: Runs) -> Figure:
    """Plot episodes per minute of each case; the reported figures, from another machine, as levels."""
    figure, axes = _single("Training speed, one thread", "episodes per minute")
    reported_figures = reported().figures
    for place, (case, rows) in enumerate(runs):
        rates = [60 * len(row.returns) / row.training.seconds for row in rows]
        _bars(
            axes,
            np.array([place]),
            [rates],
            0.7,
            COLOURS[list(LABELS).index(case.variant) if case.variant in LABELS else place],
            None,
        )
        axes.annotate(
            f"{np.mean(rates):,.0f}",
            (place, float(np.mean(rates))),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
        if case.size in reported_figures:
            rate = float(reported_figures[case.size]["episodes_per_minute"])
            axes.hlines(rate, place - 0.4, place + 0.4, color=REPORTED, linewidth=2)
    axes.plot([], [], color=REPORTED, linewidth=2, label="reported (Apple GPU)")
    axes.set_xticks(
        range(len(runs)), [f"{case.size}\n{label(case)}\n{_seeds([(case, rows)])}" for case, rows in runs], fontsize=8
    )
    axes.legend(loc="upper right")
    return figure


PLOTS: dict[str, Callable[[Runs], Figure]] = {
    "learning_curves": learning_curves,
    "loss_curves": loss_curves,
    "reward_progression": reward_progression,
    "rarity": rarity,
    "speed": speed,
}


def _size_by_size(
    runs: Runs, draw: Callable[[Axes, Case, list[Row], str], None], title: str, ylabel: str, linear_to: float
) -> Figure:
    """Build one panel per size, each case drawn by `draw`; the y axis is logarithmic beyond `linear_to`."""
    sizes = list(dict.fromkeys(case.size for case, _ in runs))
    figure = Figure(figsize=(max(5.0, 4.2 * len(sizes)), 4.0), layout="constrained", dpi=110)
    for place, (size, axes) in enumerate(zip(sizes, np.ravel(figure.subplots(1, max(1, len(sizes)))), strict=False)):
        of_size = [(case, rows) for case, rows in runs if case.size == size]
        for colour, (case, rows) in zip(COLOURS, of_size, strict=False):
            draw(axes, case, rows, colour)
        axes.set_yscale("symlog", linthresh=linear_to, linscale=1.5)
        axes.set(title=f"{size}, {_seeds(of_size)}", xlabel="episode", ylabel=ylabel if place == 0 else "")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.25)
    handles = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title)
    return figure


def _single(title: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4.2), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.set(title=title, ylabel=ylabel)
    axes.grid(alpha=0.25, axis="y")
    return figure, axes


def _band(axes: Axes, curve: Series, colour: str, label: str) -> None:
    """Draw the mean over seeds and its interval."""
    band = curve.band
    axes.plot(curve.episodes, band.mean, color=colour, linewidth=1.5, label=label)
    axes.fill_between(curve.episodes, band.low, band.high, color=colour, alpha=0.25, linewidth=0)


def _bars(
    axes: Axes,
    positions: ArrayLike,
    samples: Sequence[Sequence[float]],
    width: float,
    colour: str,
    label: str | None,
) -> None:
    """Draw the means of samples as bars with Student's t intervals."""
    intervals = [mean_interval(sample) for sample in samples]
    halves = [0.0 if np.isnan(interval.half_width) else interval.half_width for interval in intervals]
    axes.bar(
        positions,
        [interval.estimate for interval in intervals],
        width,
        yerr=halves,
        capsize=3,
        color=colour,
        alpha=0.8,
        label=label,
    )


def _seeds(runs: Runs) -> str:
    return " and ".join(dict.fromkeys(f"{len(rows)}" for _, rows in runs)) + " seeds"
