"""Build the figures of the page: Plotly figure, alternative text, table of numbers; and shared axes and styles.

Colours are variables of the page's style sheet, such as var(--fast), so that each size has the same colour in all
figures, in the light and the dark colour scheme.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from agents.evaluation.formats import plus_minus_text
from agents.evaluation.statistics import Interval
from benchmarks.measures.series import label
from benchmarks.suite.case import Case
from benchmarks.suite.cases import AS_REPORTED, PRESET

COLOURED = ("fast", "intermediate", "stable")
DASHES = {PRESET: "solid", AS_REPORTED: "dot"}
SYMBOLS = {"fast": "circle", "intermediate": "diamond", "stable": "square"}
RETURN_TICKS = (-300, -100, -30, -10, -3, -1, 0, 1, 2, 3, 4, 5)
LOSS_TICKS = (-0.3, -0.1, 0, 0.1, 0.3, 1, 10, 100, 1000)
LINEAR_LOSS = 0.03  # the loss axis is approximately linear below this value


class Numbers(NamedTuple):
    """The numbers of a figure as a table."""

    heading: list[str]
    rows: list[list[str]]


class Drawing(NamedTuple):
    """A figure of the page."""

    figure: go.Figure
    alt_text: str  # text alternative for screen readers
    numbers: Numbers
    views: tuple[str, ...] = ()  # selectable views; a trace with a view in its `meta` is visible in that view only

    @property
    def json(self) -> Markup:
        """The figure as JSON, escaped for use inside a script element."""
        return Markup(self.figure.to_json().replace("<", "\\u003c"))


def drawing(
    traces: Iterable[Any], layout: dict[str, Any], alt_text: str, numbers: Numbers, views: Sequence[str] = ()
) -> Drawing:
    """Build a figure without a Plotly template: page.js adds fonts, grid and background.

    Args:
        traces: Plotly traces.
        layout: Properties of the Plotly layout.
        alt_text: Text alternative for screen readers.
        numbers: Numbers of the figure as a table.
        views: Names of the selectable views.
    """
    figure = go.Figure(list(traces), go.Layout(template=go.layout.Template(), **layout))
    return Drawing(figure, alt_text, numbers, tuple(views))


def colour(size: str, part: str = "") -> str:
    """Return the CSS colour of a size; with part "band", its transparent variant."""
    name = size if size in COLOURED else "other"
    return f"var(--{name}{f'-{part}' if part else ''})"


def dash(case: Case) -> str:
    """Return the Plotly dash style of a case's lines."""
    return DASHES.get(case.variant, "dash")


def title(case: Case) -> str:
    """Return the name of a case in figures, escaped because Plotly interprets text as HTML."""
    return html.escape(f"{case.size} · {label(case)}")


def squeezed_below(values: ArrayLike) -> NDArray[np.float32]:
    """Map returns to an axis that is linear above 0 and logarithmic below: random agents earn −90, trained ones +3.

    Args:
        values: Returns of any shape; the result has the same shape.
    """
    returns = np.asarray(values, dtype=np.float64)
    return np.where(returns < 0, -np.log1p(np.maximum(-returns, 0)), returns).astype(np.float32)


def squeezed(values: ArrayLike) -> NDArray[np.float32]:
    """Map losses to an axis that is linear near 0 and logarithmic far from 0, on both sides.

    Args:
        values: Losses of any shape; the result has the same shape.
    """
    return np.arcsinh(np.asarray(values, dtype=np.float64) / LINEAR_LOSS).astype(np.float32)


def return_axis(heading: str) -> dict[str, Any]:
    """Build the axis layout for values mapped by `squeezed_below`."""
    return _axis(heading, RETURN_TICKS, squeezed_below(RETURN_TICKS))


def loss_axis(heading: str) -> dict[str, Any]:
    """Build the axis layout for values mapped by `squeezed`."""
    return _axis(heading, LOSS_TICKS, squeezed(LOSS_TICKS))


def _axis(heading: str, ticks: Sequence[float], positions: NDArray[np.float32]) -> dict[str, Any]:
    """Build an axis layout whose tick labels are the original values."""
    labels = [f"{tick:+,g}".replace("-", "−") if tick else "0" for tick in ticks]
    return {"title": heading, "tickvals": positions, "ticktext": labels, "zeroline": True}


def exact(values: ArrayLike) -> NDArray[np.float32]:
    """Convert values of any shape to float32, which halves the size of the page."""
    return np.asarray(values, dtype=np.float32)


def with_interval(interval: Interval, format_spec: str) -> str:
    """Format a mean ± half of its interval; the mean alone if the interval is unknown or empty."""
    return plus_minus_text(interval.estimate, interval.half_width or None, format_spec)
