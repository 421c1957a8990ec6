"""Say what a verdict is, and how parts of a claim, each an interval, make one."""

import inspect
from collections.abc import Callable, Iterable
from typing import NamedTuple

from agents.evaluation.statistics import Interval
from benchmarks.claims.evidence import Evidence, TooFewRunsError

SUPPORTED, CONTRADICTED, NOT_DECIDABLE, NOT_RUN = "supported", "contradicted", "not decidable here", "not run yet"


class ClaimVerdict(NamedTuple):
    """What the runs say of a claim."""

    name: str  # such as "lr"
    claim: str
    verdict: str  # SUPPORTED, CONTRADICTED, NOT_DECIDABLE or NOT_RUN
    found: tuple[str, ...]  # sentences with the numbers, those that decided first
    rule: str  # how the verdict follows from the numbers


class VerdictPart(NamedTuple):
    """A part of a claim that an interval decides, or only something to tell beside it."""

    told: str  # a sentence with the numbers
    outcome: str | None = None  # SUPPORTED, CONTRADICTED, NOT_DECIDABLE; None: it decides nothing


Parts = list[VerdictPart]
Judge = Callable[[Evidence], Parts]


class Claim(NamedTuple):
    """A claim with what judges it, whose docstring is the rule."""

    name: str
    claim: str
    judge: Judge

    @property
    def rule(self) -> str:
        """How the verdict follows from the numbers, in words."""
        return " ".join((inspect.getdoc(self.judge) or "").split())

    def verdict(self, evidence: Evidence) -> ClaimVerdict:
        """What these runs say of it."""
        try:
            parts = self.judge(evidence)
        except TooFewRunsError as missing:
            return ClaimVerdict(self.name, self.claim, NOT_RUN, (str(missing),), self.rule)
        verdict = together(parts)
        decisive_first = sorted(parts, key=lambda part: part.outcome != verdict)
        return ClaimVerdict(self.name, self.claim, verdict, tuple(part.told for part in decisive_first), self.rule)


def together(parts: Iterable[VerdictPart]) -> str:
    """A claim is contradicted if one of its parts is, and supported if all are."""
    outcomes = [part.outcome for part in parts if part.outcome]
    if CONTRADICTED in outcomes:
        return CONTRADICTED
    return SUPPORTED if outcomes and set(outcomes) == {SUPPORTED} else NOT_DECIDABLE


def above(interval: Interval, bound: float = 0.0) -> str:
    """Whether a figure lies above the bound: supported or contradicted if all of its interval is on one side."""
    return SUPPORTED if interval.low > bound else CONTRADICTED if interval.high < bound else NOT_DECIDABLE


def below(interval: Interval, bound: float = 0.0) -> str:
    """Whether a figure lies below the bound."""
    return above(Interval(-interval.estimate, -interval.high, -interval.low), -bound)


def within(interval: Interval, low: float, high: float) -> str:
    """Whether a figure lies between the bounds: contradicted if its interval is beyond one of them."""
    if interval.low >= low and interval.high <= high:
        return SUPPORTED
    return CONTRADICTED if interval.high < low or interval.low > high else NOT_DECIDABLE


def number(value: float, form: str = "+.2f") -> str:
    """A number in words."""
    return f"{value:{form}}".replace("-", "−")


def told(interval: Interval, form: str = "+.2f") -> str:
    """An estimate with its 95 % interval: `+0.82 [+0.71, +0.93]`."""
    estimate, low, high = (number(value, form) for value in interval)
    return f"{estimate} [{low}, {high}]"
