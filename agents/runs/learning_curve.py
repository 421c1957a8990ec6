"""Draw a run's learning curve."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from agents.evaluation.statistics import WINDOW, running_mean

INK, POINTS = "#1f4e79", "#9bbcd8"
LEVEL_COLOURS = {
    "optimal": "#b71c1c",
    "lookahead": "#00695c",
    "greedy": "#2e7d32",
    "fluent": "#b26a00",
    "verbatim": "#8e24aa",
    "random": "#757575",
}
ABOVE, BELOW = "optimal", "lookahead"  # levels near each other, whose names stand above and below their lines
TICKS = (-200, -100, -30, -10, -3, -2, -1, 0, 1, 2, 3, 5, 10)
LINEAR_TO = 3.0  # returns nearer to 0 than this are drawn to scale, the rest logarithmically


def learning_curve(returns: Sequence[float], title: str, levels: Mapping[str, float]) -> bytes:
    """A PNG: the return of every episode, its running mean, and the reference policies as levels.

    Args:
        returns: of the episodes, in order.
        title: above the picture.
        levels: mean return of each reference policy; drawn as horizontal lines.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    episodes = np.arange(1, len(returns) + 1)
    axes.scatter(episodes, returns, s=4, color=POINTS, linewidths=0, label="an episode")
    axes.plot(episodes, running_mean(returns, WINDOW), color=INK, linewidth=2, label=f"mean of the last {WINDOW}")
    for name, level in levels.items():
        axes.axhline(level, color=LEVEL_COLOURS.get(name, "#757575"), linewidth=1, linestyle="--")
        axes.annotate(
            f"{name} {level:+.2f}",
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va={ABOVE: "bottom", BELOW: "top"}.get(name, "center"),
            fontsize=8,
            color=LEVEL_COLOURS.get(name, "#757575"),
        )
    axes.set_yscale("symlog", linthresh=LINEAR_TO, linscale=2.0)
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_ylim(min([-3.0, *returns, *levels.values()]) * 1.15, max([2.0, *returns, *levels.values()]) * 1.25)
    axes.set(title=title, xlabel="episode", ylabel="return")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", framealpha=1.0)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
