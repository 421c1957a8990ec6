"""Derive recommendations from runs and verdicts; a recommendation that the runs do not support is left out."""

from collections.abc import Callable, Iterable

from agents.evaluation.formats import number_text
from benchmarks.claims.budget_rules import NEGLIGIBLE_POINTS
from benchmarks.claims.evidence import Evidence, TooFewRunsError, UndefinedMetricError, grid_source, size_source
from benchmarks.claims.rate_rules import RATE_CLAIM, diverges, rate_source
from benchmarks.claims.verdict import CONTRADICTED, SUPPORTED, ClaimVerdict
from benchmarks.measures.figures import cpu_minutes, mean_last_100, test_return
from benchmarks.measures.shares import score, validation_score
from benchmarks.suite.claim_cases import OPTIMIZER_RATES, REPORTED_RATE, UNITS

Advice = Callable[[Evidence], str | None]  # returns a sentence, or None if the runs do not support it


def fast(evidence: Evidence) -> str | None:
    """Recommend fast if it trains faster than stable and its score is at most a point lower."""
    minutes_saved = evidence.difference(size_source("stable"), size_source("fast"), cpu_minutes)
    gain = evidence.difference(size_source("fast"), size_source("stable"), score)
    if minutes_saved.low <= 0 or gain.low <= -NEGLIGIBLE_POINTS:
        return None
    minutes = {size: evidence.mean(size_source(size), cpu_minutes).estimate for size in ("fast", "stable")}
    points = f"{number_text(gain.estimate, '.0f')} points nearer to its optimum"
    return (
        "Use fast when 1,000 words and 30 steps are enough, and while you try things out: a training takes "
        f"{minutes['fast']:.1f} minutes of processor time instead of {minutes['stable']:.1f}, "
        f"and comes {points if gain.low > 0 else 'as near to its optimum'}."
    )


def stable(evidence: Evidence) -> str | None:
    """Recommend stable if it earns a higher test return than fast and than intermediate."""
    leads = [
        evidence.difference(size_source("stable"), size_source(size), test_return) for size in ("fast", "intermediate")
    ]
    if any(lead.low <= 0 for lead in leads):
        return None
    returns = {size: evidence.mean(size_source(size), test_return).estimate for size in ("stable", "fast")}
    return (
        "Use stable when messages are 50 words long or what counts is the return of a message: "
        f"{number_text(returns['stable'], '+.2f')} on held-out problems, "
        f"where fast has {number_text(returns['fast'], '+.2f')}."
    )


def intermediate(evidence: Evidence) -> str | None:
    """Recommend intermediate if its score is not lower than stable's and it trains faster."""
    loss = evidence.difference(size_source("stable"), size_source("intermediate"), score)
    minutes = [evidence.mean(size_source(size), cpu_minutes) for size in ("intermediate", "stable")]
    if loss.high >= NEGLIGIBLE_POINTS or minutes[0].high >= minutes[1].low:
        return None
    return (
        f"Use intermediate when you need 5,000 words but not 50 steps: as near to its optimum as stable in "
        f"{minutes[0].estimate:.1f} minutes of processor time instead of {minutes[1].estimate:.1f}."
    )


def learning_rate(evidence: Evidence) -> str | None:
    """Recommend the best learning rate for the report's settings if it is ahead of the reported one.

    The level of the interval is that of the claim on learning rates, since the best of many rates is chosen.
    """
    evidence = evidence.at(RATE_CLAIM.confidence)
    sources = {rate: rate_source("fast", "adam", rate) for rate in OPTIMIZER_RATES["adam"]}
    reported = sources.pop(REPORTED_RATE)
    stable = {rate: source for rate, source in sources.items() if not any(map(diverges, evidence.rows(source)))}
    if not stable:
        return None
    best = max(stable, key=lambda rate: evidence.mean(stable[rate], mean_last_100).estimate)
    gain = evidence.difference(stable[best], reported, mean_last_100)
    if gain.low <= 0:
        return None
    best_mean = evidence.mean(stable[best], mean_last_100).estimate
    return (
        f"With the report's other settings take a learning rate of {best} for fast, not {REPORTED_RATE}: the last 100 "
        f"episodes average {number_text(best_mean, '+.2f')}, {number_text(gain.estimate, '.1f')} more."
    )


def units(evidence: Evidence) -> str | None:
    """Recommend the smallest width for fast that is less than a point of score behind every larger one."""
    sources = {width: grid_source(width, 1000) for width in UNITS}
    for width in UNITS[:-1]:
        gains = [evidence.paired(sources[wider], sources[width], validation_score) for wider in UNITS if wider > width]
        if all(gain.high < NEGLIGIBLE_POINTS for gain in gains):
            return f"{width} hidden units are enough for fast: up to {UNITS[-1]} bring less than a point of score."
    return None


ADVICE: tuple[Advice, ...] = (fast, stable, intermediate, learning_rate, units)
BY_VERDICT = {  # recommendation that a verdict gives, to be followed by the verdict's first finding
    ("tuning", SUPPORTED): "Tune on fast and train stable with the settings you get.",
    ("tuning", CONTRADICTED): "Tune stable on stable itself.",
    ("weights", SUPPORTED): "Start stable from the weights of a run of fast (`--from RUN`).",
    ("weights", CONTRADICTED): "Train stable from the beginning, not from the weights of a run of fast.",
    ("size_vs_time", SUPPORTED): "Double the episodes before the hidden units.",
    ("rewards", SUPPORTED): "Train with the dense reward wherever it can be had.",
    ("curriculum", SUPPORTED): "Train with `--curriculum`.",
    ("curriculum", CONTRADICTED): "Leave the curriculum out.",
    ("masks", SUPPORTED): "An agent trained with masks can do without them afterwards.",
    ("masks", CONTRADICTED): "Keep the masks of an agent that was trained with them.",
}


def recommend(evidence: Evidence, verdicts: Iterable[ClaimVerdict]) -> list[str]:
    """Return the recommendations that these runs and verdicts support; those with too few runs are left out."""
    sentences = [_advice_if_run(advice, evidence) for advice in ADVICE]
    for verdict in verdicts:
        recommendation = BY_VERDICT.get((verdict.name, verdict.verdict))
        sentences.append(recommendation and f"{recommendation} {verdict.findings[0]}")
    return [sentence for sentence in sentences if sentence]


def _advice_if_run(advice: Advice, evidence: Evidence) -> str | None:
    try:
        return advice(evidence)
    except (TooFewRunsError, UndefinedMetricError):
        return None
