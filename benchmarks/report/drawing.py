"""Describe a figure of the page: the picture, what it says in words, and its numbers as a table.

Colours are names of the page's style sheet, such as var(--fast), so that a size has one colour everywhere and each
figure follows a dark or light screen.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from agents.evaluation.statistics import Interval
from benchmarks.measures.series import label
from benchmarks.suite.case import Case
from benchmarks.suite.cases import AS_REPORTED, PRESET

COLOURED = ("fast", "intermediate", "stable")
DASHES = {PRESET: "solid", AS_REPORTED: "dot"}
SYMBOLS = {"fast": "circle", "intermediate": "diamond", "stable": "square"}
RETURN_TICKS = (-300, -100, -30, -10, -3, -1, 0, 1, 2, 3, 4, 5)
LOSS_TICKS = (-0.3, -0.1, 0, 0.1, 0.3, 1, 10, 100, 1000)
LINEAR_LOSS = 0.03  # the axis of losses is about linear up to this


class Numbers(NamedTuple):
    """What a figure draws, as a table."""

    heading: list[str]
    rows: list[list[str]]


class Drawing(NamedTuple):
    """A figure of the page."""

    figure: go.Figure
    says: str  # what it shows, for those who do not see it
    numbers: Numbers
    views: tuple[str, ...] = ()  # what readers choose among; a trace whose meta names one is drawn in that one only

    @property
    def json(self) -> Markup:
        """The figure for the page's script, safe inside a script element."""
        return Markup(self.figure.to_json().replace("<", "\\u003c"))


def drawing(
    traces: Iterable[Any], layout: dict[str, Any], says: str, numbers: Numbers, views: Sequence[str] = ()
) -> Drawing:
    """A figure of these traces; fonts, grid and background are the page's."""
    figure = go.Figure(list(traces), go.Layout(template=go.layout.Template(), **layout))
    return Drawing(figure, says, numbers, tuple(views))


def colour(size: str, part: str = "") -> str:
    """The colour of a size; part: "band", a transparent one."""
    name = size if size in COLOURED else "other"
    return f"var(--{name}{f'-{part}' if part else ''})"


def dash(case: Case) -> str:
    """How lines of a case are drawn."""
    return DASHES.get(case.variant, "dash")


def title(case: Case) -> str:
    """How a figure calls a case; safe where Plotly takes words for HTML."""
    return html.escape(f"{case.size} · {label(case)}")


def squeezed_below(values: ArrayLike) -> NDArray[np.float32]:
    """Returns on an axis that is linear above 0 and logarithmic below: random tokens earn −90, good ones +3."""
    real = np.asarray(values, dtype=np.float64)
    return np.where(real < 0, -np.log1p(np.maximum(-real, 0)), real).astype(np.float32)


def squeezed(values: ArrayLike) -> NDArray[np.float32]:
    """Losses on an axis that is linear near 0 and logarithmic far from it, in both directions."""
    return np.arcsinh(np.asarray(values, dtype=np.float64) / LINEAR_LOSS).astype(np.float32)


def return_axis(heading: str) -> dict[str, Any]:
    """The axis for returns that `squeezed_below` made."""
    return _axis(heading, RETURN_TICKS, squeezed_below(RETURN_TICKS))


def loss_axis(heading: str) -> dict[str, Any]:
    """The axis for losses that `squeezed` made."""
    return _axis(heading, LOSS_TICKS, squeezed(LOSS_TICKS))


def _axis(heading: str, ticks: Sequence[float], places: NDArray[np.float32]) -> dict[str, Any]:
    """An axis whose ticks tell the real values."""
    words = [f"{tick:+,g}".replace("-", "−") if tick else "0" for tick in ticks]
    return {"title": heading, "tickvals": places, "ticktext": words, "zeroline": True}


def exact(values: ArrayLike) -> NDArray[np.float32]:
    """Values as the page stores them: to 7 digits, in half the space."""
    return np.asarray(values, dtype=np.float32)


def with_interval(interval: Interval, form: str) -> str:
    """A mean with half of its interval in words, if it has one."""
    told = f"{interval.estimate:{form}}"
    if np.isfinite(interval.half_width) and interval.half_width > 0:
        told += f" ± {interval.half_width:{form.lstrip('+')}}"
    return told.replace("-", "−")
