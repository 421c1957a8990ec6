"""Draw the running return of an episode beside that of an optimal answer."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.canvas import Canvas, Colour, text_width
from token_env.drawing.layout import CHART_HEIGHT, EDGE, LEFT, NOTE_SIZE, WORD_SIZE, Layout

INK, QUIET, GRID, ZERO = (25, 30, 40), (110, 118, 130), (226, 229, 234), (140, 147, 158)
AGENT, OPTIMUM, OFF_SCALE = (31, 78, 121), (224, 130, 20), (196, 30, 40)
CURRENT: Colour = (222, 233, 250)  # marks the step that is due next, and the token chosen
LABEL_WIDTH = 24  # pixels of a step's number
MARK_HEIGHT = 5  # pixels of a triangle's height

Height = Callable[[float], float]  # from a return to pixels from the top


def draw_returns(canvas: Canvas, layout: Layout, returns: NDArray[np.float64], optimal: NDArray[np.float64]) -> None:
    """Draw the return after each token so far, [t], beside that of an optimal answer, [L].

    The scale fits the optimal answer; a triangle marks a return outside the scale.
    """
    top, bottom = layout.tops[-1], layout.tops[-1] + CHART_HEIGHT
    low, high, tick = return_range(optimal)

    def height(value: float) -> float:
        return bottom - (value - low) / (high - low) * CHART_HEIGHT

    _draw_axes(canvas, layout, tick * np.arange(round(low / tick), round(high / tick) + 1, dtype=np.float64), height)
    _draw_legend(canvas, top - 18)
    for values, colour, width in ((optimal, OPTIMUM, 2), (returns, AGENT, 3)):
        points = [(float(LEFT), height(0.0)), *((layout.middle(t), height(float(v))) for t, v in enumerate(values))]
        canvas.curve(points, colour, width, (LEFT, top - 2), (layout.right, bottom + 2))
    for step, value in enumerate(returns):
        if value < low:
            canvas.triangle((layout.middle(step), bottom + MARK_HEIGHT + 2), MARK_HEIGHT, OFF_SCALE)
        elif value > high:
            canvas.triangle((layout.middle(step), top - MARK_HEIGHT - 2), -MARK_HEIGHT, AGENT)


def return_range(optimal: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the lowest and highest return of the scale, and the distance of its lines; the limits are multiples of it.

    Args:
        optimal: Return of an optimal answer after each step, [L].
    """
    peak = max(float(np.abs(optimal).max()), 1e-6)
    power = 10.0 ** math.floor(math.log10(peak / 2))
    tick = next(step for step in (power, 2 * power, 5 * power, 10 * power) if peak / step <= 5)
    high = math.ceil(1.02 * peak / tick) * tick
    return -math.ceil(high / tick / 2) * tick, high, tick


def _draw_axes(canvas: Canvas, layout: Layout, ticks: NDArray[np.float64], height: Height) -> None:
    """Draw lines and numbers of the returns, and the numbers of the steps below."""
    for value in ticks:
        level = round(height(float(value)))
        colour = ZERO if abs(value) < 1e-12 else GRID
        canvas.line((LEFT, level), (layout.right, level), colour)
        canvas.text((LEFT - 6, level), f"{value:+.3g}" if abs(value) >= 1e-12 else "0", NOTE_SIZE, QUIET, "rm")
    every = 1 if layout.column_width >= LABEL_WIDTH else 5
    below = layout.tops[-1] + CHART_HEIGHT + 18
    canvas.text((EDGE, below), "step", NOTE_SIZE, QUIET)
    for step in sorted({1, *range(every, layout.length + 1, every)}):
        canvas.text((layout.middle(step - 1), below), str(step), NOTE_SIZE, QUIET, "mm")


def _draw_legend(canvas: Canvas, middle: float) -> None:
    """Write the title of the panel and the names of the curves."""
    canvas.text((EDGE, middle), "return so far", WORD_SIZE, INK)
    left = float(LEFT)
    entries: list[tuple[str, Colour, int]] = [("what was said", AGENT, 3), ("the best answer (optimum)", OPTIMUM, 2)]
    for name, colour, width in entries:
        canvas.rectangle((left, middle - width // 2), (left + 22, middle - width // 2 + width), colour)
        canvas.text((left + 28, middle), name, NOTE_SIZE, INK)
        left += 28 + text_width(name, NOTE_SIZE) + 24
