"""Verdicts by differences between runs of the same seed, and on the cause of the peak, by their rules in words.

Sentences of findings are known of the claims that have been judged; of the others only the verdict is compared.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from tests.benchmarks.audit import recomputed
from tests.benchmarks.audit.pages import flat
from tests.benchmarks.audit.recomputed import Interval, Row, mean_interval, optimum, read, welch
from tests.benchmarks.audit.verdicts import UNDECIDED, Finding, Judgement, above, combined, position

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


def interval_of(values: BySeed, level: float) -> Interval:
    return mean_interval(list(values.values()), level)


def claims(case: str) -> tuple[str, str]:
    return "claims", case


def judged(parts: list[str], level: float, findings: list[Finding] | None = None) -> Judgement:
    return Judgement(combined(parts), findings or [], level)


def tuning() -> Judgement:
    gain = interval_of(gains(by_seed(claims("stable/fast-settings")), by_seed(PRESETS["stable"])), 0.95)
    return judged([position(gain, -1, np.inf)], 0.95)


def curriculum() -> Judgement:
    gain = interval_of(gains(by_seed(claims("fast/curriculum")), by_seed(PRESETS["fast"])), 0.95)
    sentence = "A curriculum changes the score of fast by {i} points."
    return judged([position(gain, 1, np.inf)], 0.95, [(sentence, flat(gain))])


def intermediate() -> Judgement:
    sides = [
        (claims("grid/512-units-5000-tokens"), PRESETS["intermediate"]),
        (claims("plain/512-units-5000-tokens"), claims("plain/256-units-5000-tokens")),
    ]
    parts = [position(interval_of(gains(*map(by_seed, side)), 0.975), -np.inf, 1) for side in sides]
    return judged(parts, 0.975)


def size_vs_time() -> Judgement:
    parts = []
    for whole, half, large in (
        (PRESETS["fast"], claims("fast/half"), claims("grid/512-units-1000-tokens")),
        (PLAIN, claims("plain/half"), claims("plain/512-units-1000-tokens")),
    ):
        episodes, units = gains(by_seed(whole), by_seed(half)), gains(by_seed(large), by_seed(whole))
        parts += [above(interval_of(gains(episodes, units), 0.9875)), position(interval_of(units, 0.9875), -np.inf, 5)]
    return judged(parts, 0.9875)


def masks() -> Judgement:
    """Agents trained with masks, tested without them, against agents trained without."""

    def free(row: Row) -> float | None:
        played = row.get("without_masks")
        return None if played is None else 100 * played["mean_return"] / optimum(row)

    parts, findings, score = [], [], recomputed.MEASURES["Score, %"]
    for words, case, plain in (
        ("our preset", "fast/masks", PRESETS["fast"]),
        ("plain logits", "fast/plain-masks", PLAIN),
    ):
        masked, never = claims(case), by_seed(plain, score)
        loss = interval_of(gains(by_seed(masked, free), never), 0.975)
        kept = interval_of(gains(by_seed(masked, score), never), 0.975)
        without = interval_of(by_seed(masked, free), 0.975)
        parts.append(position(loss, -1, np.inf))
        start, end = (
            f"With {words}: trained with masks and tested without ",
            "points against agents that were never masked.",
        )
        findings += [
            (start + "{i}, that is {i} " + end, flat(without, loss)),
            (f"With {words} and the masks kept at the test the difference is {{i}} points.", flat(kept)),
        ]
    return judged(parts, 0.975, findings)


def peak_cause() -> Judgement:
    best = partial(by_seed, measure=lambda row: max(row["returns"]))
    fast, stable = best(PRESETS["fast"]), best(PRESETS["stable"])
    lead = welch(list(stable.values()), list(fast.values()))
    middle = [(fast[seed] + stable[seed]) / 2 for seed in sorted(fast.keys() & stable.keys())]
    large = list(best(claims("grid/512-units-5000-tokens")).values())
    return judged([above(welch(large, middle)) if lead.low > 0 else UNDECIDED], 0.95)


JUDGES: dict[str, Callable[[], Judgement]] = {
    "tuning": tuning,
    "curriculum": curriculum,
    "intermediate": intermediate,
    "size_vs_time": size_vs_time,
    "masks": masks,
    "peak_cause": peak_cause,
}
