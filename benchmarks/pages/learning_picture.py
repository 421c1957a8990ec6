"""Draw score against episodes for every head, with the reference policies and the optimum as labelled lines."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measures.row import Row
from benchmarks.measures.series import validation_scores
from benchmarks.pages.learning import Runs, reference_levels, runs_by_variant
from benchmarks.pages.plots import LEVEL
from benchmarks.suite.learning_cases import HEADS

# Okabe and Ito's colours, which people with any colour vision tell apart, and a dash pattern of its own for each head.
STYLES = dict(
    zip(
        HEADS,
        [("#000000", ":"), ("#cc79a7", "--"), ("#e69f00", "-"), ("#0072b2", "-"), ("#009e73", "--"), ("#d55e00", "-.")],
        strict=True,
    )
)
WHOLE, UPPER = (0.0, 104.0), (78.0, 102.0)  # ranges of scores in the two panels, per cent
NEAR_OPTIMUM = "lookahead"  # references that only the upper range can tell apart
LABEL_GAP = 0.05  # smallest distance between labels, as a share of the range


def learning_picture(rows: Iterable[Row]) -> Figure | None:
    """Plot validation scores during the training, means over seeds with 95 % intervals; None without any head's runs.

    Args:
        rows: Results of the benchmark `learning`.
    """
    runs = {variant: of_head for variant, of_head in runs_by_variant(rows).items() if variant in HEADS}
    if not any(row.validations for of_head in runs.values() for row in of_head):
        return None
    figure = Figure(figsize=(11.0, 4.8), layout="constrained", dpi=110)
    levels = reference_levels(runs) | {"optimum": 100.0}
    coarse = {label: level for label, level in levels.items() if not label.startswith(NEAR_OPTIMUM)}
    whole, upper = figure.subplots(1, 2)
    _panel(whole, runs, coarse, WHOLE)
    _panel(upper, runs, levels, UPPER)
    whole.set(ylabel="score on validation problems, %", title="all scores")
    upper.set(title=f"the same from {UPPER[0]:g} %")
    counts = sorted({len(of_head) for of_head in runs.values()})
    seeds = f"{counts[0]} seeds" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]} seeds"
    figure.suptitle(f"Heads at size fast: mean and 95 % interval over {seeds}; dotted: reference policies")
    return figure


def _panel(axes: Axes, runs: Runs, levels: Mapping[str, float], limits: tuple[float, float]) -> None:
    """Draw curves, labelled at their right ends, and levels, labelled at the left, within these scores."""
    ends, last = [], 0.0
    for variant, rows in runs.items():
        curve = validation_scores(rows)
        band, (colour, dashes) = curve.band, STYLES[variant]
        axes.plot(curve.episodes, band.mean, color=colour, linestyle=dashes, linewidth=1.8)
        axes.fill_between(curve.episodes, band.low, band.high, color=colour, alpha=0.2, linewidth=0)
        ends.append((HEADS[variant].label, float(band.mean[-1]), colour))
        last = max(last, float(curve.episodes[-1]))
    for level in levels.values():
        axes.axhline(level, color=LEVEL, linewidth=1, linestyle=(0, (1, 2)))
    axes.set(xlim=(0, last), ylim=limits, xlabel="episode")
    axes.grid(alpha=0.2)
    _label(axes, ends, limits, 1.01)
    _label(axes, [(label, level, LEVEL) for label, level in levels.items()], limits, 0.015)


def _label(axes: Axes, lines: list[tuple[str, float, str]], limits: tuple[float, float], place: float) -> None:
    """Write labels at the heights of their lines, in their colours; labels that would overlap are moved apart."""
    low, high = limits
    inside = sorted((line for line in lines if low <= line[1] <= high), key=lambda line: line[1])
    heights = spread([height for _, height, _ in inside], LABEL_GAP * (high - low))
    background = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    for (text, _, colour), height in zip(inside, heights, strict=True):
        axes.annotate(
            text, (place, height), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour,
            bbox=background, annotation_clip=False,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return ascending heights at least `gap` apart, each group of moved ones around its mean.

    Args:
        heights: Ascending heights.
        gap: Smallest distance.
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _placed(groups[-2], gap)[-1] + gap > _placed(groups[-1], gap)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in _placed(group, gap)]


def _placed(group: list[float], gap: float) -> list[float]:
    offsets = gap * (np.arange(len(group)) - (len(group) - 1) / 2)
    return [float(place) for place in np.mean(group) + offsets]
