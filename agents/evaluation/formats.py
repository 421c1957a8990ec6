"""Format numbers and intervals for people, with a typographic minus sign."""

import math

from agents.evaluation.statistics import Interval

NO_VALUE = "—"


def number_text(value: float, form: str = "+.3f") -> str:
    """Format a number: `−0.024`."""
    return f"{value:{form}}".replace("-", "−")


def bounds_text(interval: Interval, form: str = "+.3f") -> str:
    """Format the bounds of an interval: `[+0.019, +0.028]`."""
    return f"[{number_text(interval.low, form)}, {number_text(interval.high, form)}]"


def interval_text(interval: Interval, form: str = "+.3f") -> str:
    """Format an estimate with its bounds, as `+0.024 [+0.019, +0.028]`; without bounds if they are NaN."""
    estimate = number_text(interval.estimate, form)
    return estimate if math.isnan(interval.half_width) else f"{estimate} {bounds_text(interval, form)}"


def plus_minus_text(estimate: float | None, half_width: float | None, form: str = "+.3f") -> str:
    """Format an estimate with half the width of its interval, as `+0.024 ± 0.004`; without it if it is None or NaN."""
    if estimate is None:
        return NO_VALUE
    known = half_width is not None and not math.isnan(half_width)
    return number_text(estimate, form) + (f" ± {half_width:{form.lstrip('+')}}" if known else "")
