"""Draw the return of an episode, step by step, beside the best answer's."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.canvas import Canvas, Colour, text_width
from token_env.drawing.layout import CHART, EDGE, LEFT, NOTE, WORD, Layout

INK, QUIET, GRID, ZERO = (25, 30, 40), (110, 118, 130), (226, 229, 234), (140, 147, 158)
SAID, OPTIMUM, OFF_SCALE = (31, 78, 121), (224, 130, 20), (196, 30, 40)
LABEL_WIDTH = 24  # pixels that the number of a step takes
MARK = 5  # pixels of the height of a triangle

Height = Callable[[float], float]  # from a return to its place, pixels from the top


def draw_returns(canvas: Canvas, layout: Layout, returns: NDArray[np.float64], best: NDArray[np.float64]) -> None:
    """The return after each token said, [t], beside the best answer's, [L].

    The scale fits the best answer; a triangle marks a return beyond it.
    """
    top, bottom = layout.tops[-1], layout.tops[-1] + CHART
    low, high, tick = return_range(best)

    def height(value: float) -> float:
        return bottom - (value - low) / (high - low) * CHART

    _draw_axes(canvas, layout, tick * np.arange(round(low / tick), round(high / tick) + 1, dtype=np.float64), height)
    _draw_legend(canvas, top - 18)
    for values, colour, width in ((best, OPTIMUM, 2), (returns, SAID, 3)):
        points = [(float(LEFT), height(0.0)), *((layout.middle(t), height(float(v))) for t, v in enumerate(values))]
        canvas.curve(points, colour, width, (LEFT, top - 2), (layout.right, bottom + 2))
    for place, value in enumerate(returns):
        if value < low:
            canvas.triangle((layout.middle(place), bottom + MARK + 2), MARK, OFF_SCALE)
        elif value > high:
            canvas.triangle((layout.middle(place), top - MARK - 2), -MARK, SAID)


def return_range(best: NDArray[np.float64]) -> tuple[float, float, float]:
    """The lowest and the highest return shown, and the distance of the lines between: whole multiples of it.

    Args:
        best: the best answer's return after each step, [L].
    """
    most = max(float(np.abs(best).max()), 1e-6)
    power = 10.0 ** math.floor(math.log10(most / 2))
    tick = next(step for step in (power, 2 * power, 5 * power, 10 * power) if most / step <= 5)
    high = math.ceil(1.02 * most / tick) * tick
    return -math.ceil(high / tick / 2) * tick, high, tick


def _draw_axes(canvas: Canvas, layout: Layout, ticks: NDArray[np.float64], height: Height) -> None:
    """Lines and numbers of the returns, and the numbers of the steps below."""
    for value in ticks:
        level = round(height(float(value)))
        colour = ZERO if abs(value) < 1e-12 else GRID
        canvas.line((LEFT, level), (layout.right, level), colour)
        canvas.text((LEFT - 6, level), f"{value:+.3g}" if abs(value) >= 1e-12 else "0", NOTE, QUIET, "rm")
    every = 1 if layout.column >= LABEL_WIDTH else 5
    below = layout.tops[-1] + CHART + 18
    canvas.text((EDGE, below), "step", NOTE, QUIET)
    for step in sorted({1, *range(every, layout.length + 1, every)}):
        canvas.text((layout.middle(step - 1), below), str(step), NOTE, QUIET, "mm")


def _draw_legend(canvas: Canvas, middle: float) -> None:
    """What the panel shows, and which curve is which."""
    canvas.text((EDGE, middle), "return so far", WORD, INK)
    left = float(LEFT)
    entries: list[tuple[str, Colour, int]] = [("what was said", SAID, 3), ("the best answer (optimum)", OPTIMUM, 2)]
    for name, colour, width in entries:
        canvas.rectangle((left, middle - width // 2), (left + 22, middle - width // 2 + width), colour)
        canvas.text((left + 28, middle), name, NOTE, INK)
        left += 28 + text_width(name, NOTE) + 24
