"""Draw the learning curve of a run."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from agents.evaluation.statistics import WINDOW, running_mean

LINE_COLOUR, POINT_COLOUR = "#1f4e79", "#9bbcd8"
LEVEL_COLOURS = {
    "optimal": "#b71c1c",
    "lookahead": "#00695c",
    "greedy": "#2e7d32",
    "fluent": "#b26a00",
    "verbatim": "#8e24aa",
    "random": "#757575",
}
ABOVE, BELOW = "optimal", "lookahead"  # neighbouring levels: one label goes above its line, the other below
TICKS = (-200, -100, -30, -10, -3, -2, -1, 0, 1, 2, 3, 5, 10)
LINEAR_THRESHOLD = 3.0  # the axis is linear within ± this return and logarithmic outside


def learning_curve(returns: Sequence[float], title: str, levels: Mapping[str, float]) -> bytes:
    """Draw a PNG of the episodes' returns, their running mean, and the reference policies' mean returns.

    Args:
        returns: Return of each episode, in order.
        title: Title above the plot.
        levels: Mean return of each reference policy, by name; drawn as horizontal lines.

    Returns:
        The content of the PNG file.
    """
    figure = Figure(figsize=(8, 4.5), dpi=150)
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.08, right=0.85, bottom=0.11, top=0.93)
    episodes = np.arange(1, len(returns) + 1)
    axes.scatter(episodes, returns, s=4, color=POINT_COLOUR, linewidths=0, label="an episode")
    axes.plot(
        episodes, running_mean(returns, WINDOW), color=LINE_COLOUR, linewidth=2, label=f"mean of the last {WINDOW}"
    )
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
    axes.set_yscale("symlog", linthresh=LINEAR_THRESHOLD, linscale=2.0)
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_ylim(min([-3.0, *returns, *levels.values()]) * 1.15, max([2.0, *returns, *levels.values()]) * 1.25)
    axes.set(title=title, xlabel="episode", ylabel="return")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", framealpha=1.0)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
