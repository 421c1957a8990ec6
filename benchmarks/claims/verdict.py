"""Define claims and verdicts, and combine the parts of a claim, each decided by an interval, into one verdict."""

import inspect
from collections.abc import Callable, Iterable
from typing import NamedTuple

from agents.evaluation.formats import interval_text
from agents.evaluation.statistics import CONFIDENCE, Interval
from benchmarks.claims.evidence import Evidence, TooFewRunsError, UndefinedMetricError

SUPPORTED, CONTRADICTED, NOT_DECIDABLE, NOT_RUN = "supported", "contradicted", "not decidable here", "not run yet"


class ClaimVerdict(NamedTuple):
    """The verdict on a claim, with its rule and findings."""

    name: str  # short name, such as "lr"
    claim: str  # the claim as a sentence
    verdict: str  # SUPPORTED, CONTRADICTED, NOT_DECIDABLE or NOT_RUN
    findings: tuple[str, ...]  # sentences with the numbers, the decisive ones first
    rule: str  # how the verdict follows from the numbers
    confidence: float  # level of each interval
    history: str  # when the rule was written, and which of its runs were known then

    @property
    def provenance(self) -> str:
        """The level of the intervals, and the history of the rule, as sentences."""
        return f"Intervals at {100 * self.confidence:.4g} %. {self.history}"


class VerdictPart(NamedTuple):
    """A finding on a claim: a part decided by an interval, or additional information."""

    sentence: str  # the finding, with its numbers
    outcome: str | None = None  # SUPPORTED, CONTRADICTED or NOT_DECIDABLE; None for additional information


Parts = list[VerdictPart]
Judge = Callable[[Evidence], Parts]


class Claim(NamedTuple):
    """A claim and the function that judges it; the docstring of that function is the published rule."""

    name: str
    claim: str
    judge: Judge
    tests: int  # number of intervals that decide, which share an error probability of 5 % equally (Bonferroni)
    history: str  # when the rule was written, and which of its runs were known then

    @property
    def rule(self) -> str:
        """The rule in words: how the verdict follows from the numbers."""
        return " ".join((inspect.getdoc(self.judge) or "").split())

    @property
    def confidence(self) -> float:
        """Confidence level of each interval."""
        return 1 - (1 - CONFIDENCE) / self.tests

    def verdict(self, evidence: Evidence) -> ClaimVerdict:
        """Return the verdict on this claim that follows from these runs."""
        try:
            parts = self.judge(evidence.at(self.confidence))
        except TooFewRunsError as missing:
            return self._verdict(NOT_RUN, [str(missing)])
        except UndefinedMetricError as undefined:
            return self._verdict(NOT_DECIDABLE, [str(undefined)])
        verdict = combined_verdict(parts)
        decisive_first = sorted(parts, key=lambda part: part.outcome != verdict)
        return self._verdict(verdict, [part.sentence for part in decisive_first])

    def _verdict(self, verdict: str, findings: Iterable[str]) -> ClaimVerdict:
        return ClaimVerdict(self.name, self.claim, verdict, tuple(findings), self.rule, self.confidence, self.history)


def combined_verdict(parts: Iterable[VerdictPart]) -> str:
    """Return the verdict on all parts: contradicted if one part is, supported if all deciding parts are."""
    outcomes = [part.outcome for part in parts if part.outcome]
    if CONTRADICTED in outcomes:
        return CONTRADICTED
    return SUPPORTED if outcomes and set(outcomes) == {SUPPORTED} else NOT_DECIDABLE


def above(interval: Interval, bound: float = 0.0) -> str:
    """Judge "the value lies above the bound": decided if the whole interval lies on one side of the bound."""
    return SUPPORTED if interval.low > bound else CONTRADICTED if interval.high < bound else NOT_DECIDABLE


def below(interval: Interval, bound: float = 0.0) -> str:
    """Judge "the value lies below the bound": decided if the whole interval lies on one side of the bound."""
    return above(Interval(-interval.estimate, -interval.high, -interval.low), -bound)


def within(interval: Interval, low: float, high: float) -> str:
    """Judge "the value lies between the bounds": contradicted if the whole interval lies outside."""
    if interval.low >= low and interval.high <= high:
        return SUPPORTED
    return CONTRADICTED if interval.high < low or interval.low > high else NOT_DECIDABLE


def estimate_text(interval: Interval, form: str = "+.2f") -> str:
    """Format an estimate with its interval: `+0.82 [+0.71, +0.93]`."""
    return interval_text(interval, form)
