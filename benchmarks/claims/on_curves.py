"""Judge what the report says of its trainings. The docstring of what judges a claim is its rule."""

from collections.abc import Callable

import numpy as np

from agents.evaluation.statistics import difference_interval, mean_interval
from benchmarks.claims.evidence import Evidence, cell, claimed, numbers, sized
from benchmarks.claims.verdict import (
    CONTRADICTED,
    NOT_DECIDABLE,
    SUPPORTED,
    Claim,
    Judge,
    Parts,
    VerdictPart,
    above,
    below,
    number,
    told,
    within,
)
from benchmarks.measures.figures import (
    LAST,
    adequacy_of_quarter,
    convergence,
    lowest_last_20,
    max_return,
    mean_last_20,
    mean_last_100,
    score,
    spread,
)
from benchmarks.measures.row import Row
from benchmarks.suite.cases import AS_REPORTED, PRESET
from benchmarks.suite.claim_cases import RATES, REPORTED_RATE, STUDIED

DIVERGING = ("1e-5", "1e-4")  # rates of which the report says so
ABOUT = 0.2  # how far an "about" of the report may be off
BY, NEEDS = 800, 3000  # episodes until fast and stable converge, by the report


def with_both_settings(judge: Callable[[Evidence, str], Parts]) -> Judge:
    """Judge with our presets, and with the report's settings where these end as the report did."""

    def of(evidence: Evidence) -> Parts:
        ends = {size: evidence.mean(sized(size, AS_REPORTED), mean_last_100) for size in ("fast", "stable")}
        parts = judge(evidence, PRESET)
        if all(end.low > 0 for end in ends.values()):
            return parts + judge(evidence, AS_REPORTED)
        words = ", ".join(f"{size} {told(end)}" for size, end in ends.items())
        return [
            *parts,
            VerdictPart(f"With the report's settings nothing is learned to judge by; last {LAST} episodes: {words}."),
        ]

    of.__doc__ = f"""{judge.__doc__} Judged with our presets, and with the report's settings, too, if the last {LAST}
        episodes of both sizes average more than zero with them (interval above zero), as the report's did."""
    return of


def _named(variant: str) -> str:
    return "our preset" if variant == PRESET else "the report's settings"


def learning_rate(evidence: Evidence) -> Parts:
    """The report's settings with only the rate changed, stable for its first 400 episodes. By the mean of the last 100
    episodes 1e-6 is optimal if every other rate's interval of the difference (Welch) lies below zero, and not if one
    lies above. A rate diverges if the last 100 episodes earn less than the first 100 of the same runs (interval
    below zero); it does not if they earn more (above). A run that stops at a number that is not finite leaves no row.
    """
    parts = []
    for size, episodes in (("fast", None), ("stable", STUDIED)):
        others = {rate: evidence.rows(claimed(f"{size}/rate-{rate}")) for rate in RATES if rate != REPORTED_RATE}
        runs = {REPORTED_RATE: evidence.rows(sized(size, AS_REPORTED)), **others}
        parts += _rates_of(size, {rate: [_cut(row, episodes) for row in rows] for rate, rows in runs.items()})
    return [*parts, _preset_rates(evidence)]


def _cut(row: Row, episodes: int | None) -> Row:
    """The first so many episodes of a training, with the losses of their updates."""
    if episodes is None:
        return row
    updates = len(row.losses) * episodes // len(row.returns)
    return row.model_copy(update={"returns": row.returns[:episodes], "losses": row.losses[:updates]})


def _rates_of(size: str, runs: dict[str, list[Row]]) -> Parts:
    ends = {rate: numbers(map(mean_last_100, rows)) for rate, rows in runs.items()}
    over = {rate: difference_interval(end, ends[REPORTED_RATE]) for rate, end in ends.items() if rate != REPORTED_RATE}
    best = max(over, key=lambda rate: over[rate].estimate)
    outcomes = {below(interval) for interval in over.values()}
    optimal = next((each for each in (CONTRADICTED, NOT_DECIDABLE) if each in outcomes), SUPPORTED)
    listed = ", ".join(f"{rate} {number(float(end.mean()))}" for rate, end in ends.items())
    count = f"{len(runs[REPORTED_RATE][0].returns):,}"
    return [
        VerdictPart(
            f"{size.capitalize()}: of the others {best} ends highest; its end less that of {REPORTED_RATE}: "
            f"{told(over[best])}.",
            optimal,
        ),
        *(_divergence(size, rate, runs[rate]) for rate in DIVERGING),
        VerdictPart(f"{size.capitalize()}, mean of the last {LAST} of {count} episodes by rate: {listed}."),
    ]


def _divergence(size: str, rate: str, rows: list[Row]) -> VerdictPart:
    rise = mean_interval([np.mean(row.returns[-LAST:]) - np.mean(row.returns[:LAST]) for row in rows])
    return VerdictPart(f"{size.capitalize()} at {rate}: last {LAST} episodes less the first {told(rise)}.", below(rise))


def _preset_rates(evidence: Evidence) -> VerdictPart:
    """What our preset of fast does with these rates, beside its own."""
    means = {rate: evidence.mean(claimed(f"fast/preset-rate-{rate}"), mean_last_100).estimate for rate in RATES}
    listed = ", ".join(f"{rate} {number(mean)}" for rate, mean in means.items())
    own = number(evidence.mean(sized("fast"), mean_last_100).estimate)
    return VerdictPart(
        f"Our preset of fast, whose rate falls to 0, by the rate it begins with: {listed}; its own, 2e-3, {own}."
    )


@with_both_settings
def converging(evidence: Evidence, variant: str) -> Parts:
    """A run has converged behind the last block of 100 episodes that earned significantly less than its last fifth, so
    it stays there by definition. The interval of the mean over runs lies below 960 episodes for fast and within 2,400
    to 3,600 for stable, an "about" being a fifth; contradicted if one lies wholly outside.
    """
    asked = (("fast", 0.0, BY * (1 + ABOUT)), ("stable", NEEDS * (1 - ABOUT), NEEDS * (1 + ABOUT)))
    return [_converged(evidence, variant, *bounds) for bounds in asked]


def _converged(evidence: Evidence, variant: str, size: str, low: float, high: float) -> VerdictPart:
    episodes = evidence.values(sized(size, variant), convergence)
    words = f"{size.capitalize()} with {_named(variant)}"
    if missing := int(np.isnan(episodes).sum()):
        return VerdictPart(f"{words}: {missing} of {len(episodes)} runs show no convergence.", NOT_DECIDABLE)
    found = mean_interval(episodes)
    return VerdictPart(f"{words} converges by episode {told(found, ',.0f')}.", within(found, low, high))


@with_both_settings
def consistent(evidence: Evidence, variant: str) -> Parts:
    """The lowest of fast's last 20 episodes is above zero (interval of the mean over runs); their average is above
    stable's, and the standard deviation of the last 100 episodes below (Welch).
    """
    fast, stable = sized("fast", variant), sized("stable", variant)
    lowest = evidence.mean(fast, lowest_last_20)
    average, varying, scores = (evidence.difference(fast, stable, figure) for figure in (mean_last_20, spread, score))
    return [
        VerdictPart(
            f"With {_named(variant)} the mean of fast's last 20 episodes less that of stable's is {told(average)}.",
            above(average),
        ),
        VerdictPart(f"The lowest of fast's last 20 is {told(lowest)}.", above(lowest)),
        VerdictPart(
            f"The standard deviation of its last {LAST} less that of stable's is {told(varying)}.", below(varying)
        ),
        VerdictPart(f"By the score, which compares sizes, fast less stable is {told(scores, '+.1f')} points."),
    ]


@with_both_settings
def peak(evidence: Evidence, variant: str) -> Parts:
    """The best training episode of stable is above fast's (Welch). The cause holds if, with our presets, 512 units and
    5,000 tokens bring more than half of that difference where the steps stay 30 (interval above half), and fails if
    they bring less.
    """
    higher = evidence.difference(sized("stable", variant), sized("fast", variant), max_return)
    first = VerdictPart(
        f"With {_named(variant)} the best episode of stable less that of fast is {told(higher)}.", above(higher)
    )
    return [first, *(_cause_of_peak(evidence, higher.estimate / 2) if variant == PRESET else [])]


def _cause_of_peak(evidence: Evidence, half: float) -> Parts:
    both, tokens = (evidence.difference(cell(units, 5000), sized("fast"), max_return) for units in (512, 256))
    return [
        VerdictPart(
            f"In fast's 30 steps 512 units with 5,000 tokens change the best episode by {told(both)}.",
            above(both, half) if half > 0 else NOT_DECIDABLE,
        ),
        VerdictPart(f"5,000 tokens with 256 units change it by {told(tokens)}."),
    ]


@with_both_settings
def long_tail(evidence: Evidence, variant: str) -> Parts:
    """Of what saying the rarest quarter of the words of the test messages would pay, stable recovers a larger share
    than fast (Welch).
    """
    quarters = [adequacy_of_quarter(place) for place in range(4)]
    over = evidence.difference(sized("stable", variant), sized("fast", variant), quarters[-1])
    parts = [
        VerdictPart(
            f"With {_named(variant)} stable's share of the rarest quarter less fast's is {told(over, '+.1f')} points.",
            above(over),
        )
    ]
    for size in ("fast", "intermediate", "stable"):
        shares = ", ".join(f"{evidence.mean(sized(size, variant), quarter).estimate:.1f}" for quarter in quarters)
        parts.append(VerdictPart(f"{size.capitalize()}, from the commonest quarter to the rarest: {shares} %."))
    return [
        *parts,
        VerdictPart("The rarest words of 5,000 are rarer than those of 1,000, which fast cannot say at all."),
    ]


CURVE_CLAIMS = (
    Claim("lr", "A learning rate of 1e-6 is optimal at both sizes; 1e-5 and 1e-4 diverge.", learning_rate),
    Claim("convergence", "Fast converges by about episode 800 and stays there; stable needs about 3,000.", converging),
    Claim(
        "consistency",
        "Fast is more consistent: its last 20 episodes are all positive and average more than stable's.",
        consistent,
    ),
    Claim("peak", "Stable reaches the higher peak, because its vocabulary and network are larger.", peak),
    Claim("long_tail", "Stable captures rare words better.", long_tail),
)
