"""Recommend what to use when, by rules: a sentence is left out where the runs do not say it."""

from collections.abc import Callable, Iterable

from benchmarks.claims.evidence import Evidence, TooFewRunsError, cell, claimed, sized
from benchmarks.claims.open_questions import POINTS
from benchmarks.claims.verdict import CONTRADICTED, SUPPORTED, ClaimVerdict, number
from benchmarks.measures.figures import mean_last_100, score, test_return, training_minutes
from benchmarks.suite.cases import AS_REPORTED
from benchmarks.suite.claim_cases import RATES, REPORTED_RATE, UNITS

Advice = Callable[[Evidence], str | None]


def fast(evidence: Evidence) -> str | None:
    """Where fast takes less time than stable and is less than a point of score further from its optimum, or nearer."""
    minutes = evidence.difference(sized("stable"), sized("fast"), training_minutes)
    nearer = evidence.difference(sized("fast"), sized("stable"), score)
    if minutes.low <= 0 or nearer.low <= -POINTS:
        return None
    took, stable = (evidence.mean(sized(size), training_minutes).estimate for size in ("fast", "stable"))
    reach = (
        f"{number(nearer.estimate, '.0f')} points nearer to its optimum" if nearer.low > 0 else "as near to its optimum"
    )
    return (
        "Use fast when 1,000 words and 30 steps are enough, and while you try things out: a training takes "
        f"{took:.1f} minutes instead of {stable:.1f}, and comes {reach}."
    )


def stable(evidence: Evidence) -> str | None:
    """Where stable earns more a message than fast and than intermediate."""
    over = [evidence.difference(sized("stable"), sized(size), test_return) for size in ("fast", "intermediate")]
    if any(interval.low <= 0 for interval in over):
        return None
    earned = {size: evidence.mean(sized(size), test_return).estimate for size in ("stable", "fast")}
    return (
        "Use stable when messages are 50 words long or what counts is the return of a message: "
        f"{number(earned['stable'])} on held-out problems, where fast has {number(earned['fast'])}."
    )


def intermediate(evidence: Evidence) -> str | None:
    """Where intermediate is no further from its optimum than stable, and cheaper."""
    behind = evidence.difference(sized("stable"), sized("intermediate"), score)
    minutes = [evidence.mean(sized(size), training_minutes) for size in ("intermediate", "stable")]
    if behind.high >= POINTS or minutes[0].high >= minutes[1].low:
        return None
    return (
        f"Use intermediate when you need 5,000 words but not 50 steps: as near to its optimum as stable in "
        f"{minutes[0].estimate:.1f} minutes instead of {minutes[1].estimate:.1f}."
    )


def learning_rate(evidence: Evidence) -> str | None:
    """The best of the rates with the report's settings, where it is ahead of 1e-6."""
    sources = {rate: claimed(f"fast/rate-{rate}") for rate in RATES if rate != REPORTED_RATE}
    best = max(sources, key=lambda rate: evidence.mean(sources[rate], mean_last_100).estimate)
    ahead = evidence.difference(sources[best], sized("fast", AS_REPORTED), mean_last_100)
    if ahead.low <= 0:
        return None
    ends = evidence.mean(sources[best], mean_last_100).estimate
    return (
        f"With the report's other settings take a learning rate of {best} for fast, not {REPORTED_RATE}: the last 100 "
        f"episodes average {number(ends)}, {number(ahead.estimate, '.1f')} more."
    )


def units(evidence: Evidence) -> str | None:
    """The least width that is less than a point of score behind every wider one, for fast's words."""
    sources = {width: cell(width, 1000) for width in UNITS}
    for width in UNITS[:-1]:
        wider = [evidence.difference(sources[more], sources[width], score) for more in UNITS if more > width]
        if all(interval.high < POINTS for interval in wider):
            return f"{width} hidden units are enough for fast: up to {UNITS[-1]} bring less than a point of score."
    return None


ADVICE: tuple[Advice, ...] = (fast, stable, intermediate, learning_rate, units)
BY_VERDICT = {  # what a verdict recommends; what was found first follows
    ("hybrid", SUPPORTED): "Start stable from a run of fast (`--from RUN`).",
    ("hybrid", CONTRADICTED): "Train stable from the beginning, not from a run of fast.",
    ("size_vs_time", SUPPORTED): "Double the episodes before the hidden units.",
    ("rewards", SUPPORTED): "Train with the dense reward wherever it can be had.",
    ("curriculum", SUPPORTED): "Train with `--curriculum`.",
    ("curriculum", CONTRADICTED): "Leave the curriculum out.",
    ("masks", SUPPORTED): "An agent trained with masks can do without them afterwards.",
    ("masks", CONTRADICTED): "Keep the masks of an agent that was trained with them.",
}


def advise(evidence: Evidence, verdicts: Iterable[ClaimVerdict]) -> list[str]:
    """What these runs and their verdicts recommend; nothing where runs are missing."""
    said = [_or_nothing(advice, evidence) for advice in ADVICE]
    for verdict in verdicts:
        words = BY_VERDICT.get((verdict.name, verdict.verdict))
        said.append(words and f"{words} {verdict.found[0]}")
    return [sentence for sentence in said if sentence]


def _or_nothing(advice: Advice, evidence: Evidence) -> str | None:
    try:
        return advice(evidence)
    except TooFewRunsError:
        return None
