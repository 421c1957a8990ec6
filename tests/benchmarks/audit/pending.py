"""Verdicts of claims whose runs are not all made yet, by their rules in words.

The sentences of their findings are not known yet, so only the verdict is judged.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from tests.benchmarks.audit import recomputed
from tests.benchmarks.audit.recomputed import Interval, Row, mean_interval, optimum, read, welch
from tests.benchmarks.audit.verdicts import above, combined, position

BySeed = dict[int, float]
PRESETS = {size: ("fast-vs-stable", f"{size}/preset") for size in ("fast", "intermediate", "stable")}
PLAIN = ("heads", "fast/fast")


class NoValueError(Exception):
    """A run that a rule needs has no value."""


def by_seed(runs: tuple[str, str], measure: Callable[[Row], float | None] = recomputed.validation_score) -> BySeed:
    """A measure of the runs of a case by seed, by default their score on validation problems."""
    rows = read(runs[0]).get(runs[1], [])
    values = dict(zip((row["seed"] for row in rows), recomputed.measured(rows, measure), strict=True))
    if not values or None in values.values():
        raise NoValueError(f"runs of {runs[1]} of {runs[0]} have no such value")
    return values


def gains(after: BySeed, before: BySeed) -> BySeed:
    return {seed: after[seed] - before[seed] for seed in sorted(after.keys() & before.keys())}


def paired(values: BySeed, level: float) -> Interval:
    return mean_interval(list(values.values()), level)


def claims(case: str) -> tuple[str, str]:
    return "claims", case


def tuning() -> str:
    return position(
        paired(gains(by_seed(claims("stable/fast-settings")), by_seed(PRESETS["stable"])), 0.95), -1, np.inf
    )


def curriculum() -> str:
    return position(paired(gains(by_seed(claims("fast/curriculum")), by_seed(PRESETS["fast"])), 0.95), 1, np.inf)


def intermediate() -> str:
    sides = [
        (claims("grid/512-units-5000-tokens"), PRESETS["intermediate"]),
        (claims("plain/512-units-5000-tokens"), claims("plain/256-units-5000-tokens")),
    ]
    return combined(position(paired(gains(*map(by_seed, side)), 0.975), -np.inf, 1) for side in sides)


def size_vs_time() -> str:
    parts = []
    for whole, half, large in (
        (PRESETS["fast"], claims("fast/half"), claims("grid/512-units-1000-tokens")),
        (PLAIN, claims("plain/half"), claims("plain/512-units-1000-tokens")),
    ):
        episodes, units = gains(by_seed(whole), by_seed(half)), gains(by_seed(large), by_seed(whole))
        parts += [above(paired(gains(episodes, units), 0.9875)), position(paired(units, 0.9875), -np.inf, 5)]
    return combined(parts)


def masks() -> str:
    """Agents trained with masks, tested without them, against agents trained without."""

    def free(row: Row) -> float | None:
        played = row.get("without_masks")
        return None if played is None else 100 * played["mean_return"] / optimum(row)

    sides = [(claims("fast/masks"), PRESETS["fast"]), (claims("fast/plain-masks"), PLAIN)]
    score = recomputed.MEASURES["Score, %"]
    return combined(
        position(paired(gains(by_seed(masked, free), by_seed(plain, score)), 0.975), -1, np.inf)
        for masked, plain in sides
    )


def peak_cause() -> str:
    best = partial(by_seed, measure=lambda row: max(row["returns"]))
    fast, stable = best(PRESETS["fast"]), best(PRESETS["stable"])
    lead = welch(list(stable.values()), list(fast.values()))
    middle = [(fast[seed] + stable[seed]) / 2 for seed in sorted(fast.keys() & stable.keys())]
    large = list(best(claims("grid/512-units-5000-tokens")).values())
    return above(welch(large, middle)) if lead.low > 0 else "not decidable here"


PENDING: dict[str, Callable[[], str]] = {
    "tuning": tuning,
    "curriculum": curriculum,
    "intermediate": intermediate,
    "size_vs_time": size_vs_time,
    "masks": masks,
    "peak_cause": peak_cause,
}
