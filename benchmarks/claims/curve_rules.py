"""Judge the report's claims on its training curves. The docstring of a judging function is the published rule."""

from collections.abc import Callable

import numpy as np

from agents.evaluation.formats import number_text
from agents.evaluation.statistics import difference_interval, mean_interval
from benchmarks.claims.evidence import Evidence, as_array, claim_source, grid_source, size_source
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
    estimate_text,
    within,
)
from benchmarks.measures.figures import (
    LONG_WINDOW,
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
from benchmarks.suite.claim_cases import RATE_STUDY_EPISODES, RATES, REPORTED_RATE

REPORTED_DIVERGING = ("1e-5", "1e-4")  # learning rates that diverge according to the report
ABOUT = 0.2  # relative tolerance of an "about" in the report
FAST_CONVERGENCE, STABLE_CONVERGENCE = 800, 3000  # episodes until convergence according to the report


def with_both_settings(judge: Callable[[Evidence, str], Parts]) -> Judge:
    """Judge a claim with our presets, and also with the report's settings if these learn as the report says."""

    def judge_both(evidence: Evidence) -> Parts:
        ends = {size: evidence.mean(size_source(size, AS_REPORTED), mean_last_100) for size in ("fast", "stable")}
        parts = judge(evidence, PRESET)
        if all(end.low > 0 for end in ends.values()):
            return parts + judge(evidence, AS_REPORTED)
        means = ", ".join(f"{size} {estimate_text(end)}" for size, end in ends.items())
        return [
            *parts,
            VerdictPart(
                f"With the report's settings nothing is learned to judge by; last {LONG_WINDOW} episodes: {means}."
            ),
        ]

    judge_both.__doc__ = f"""{judge.__doc__} Judged with our presets, and with the report's settings, too, if the last
        {LONG_WINDOW} episodes of both sizes average more than zero with them (interval above zero), as the report's
        did."""
    return judge_both


def _settings_text(variant: str) -> str:
    return "our preset" if variant == PRESET else "the report's settings"


def learning_rate(evidence: Evidence) -> Parts:
    """The report's settings with only the rate changed, stable for its first 400 episodes. By the mean of the last 100
    episodes 1e-6 is optimal if every other rate's interval of the difference (Welch) lies below zero, and not if one
    lies above. A rate diverges if the last 100 episodes earn less than the first 100 of the same runs (interval
    below zero); it does not if they earn more (above). A run that stops at a number that is not finite leaves no row.
    """
    parts = []
    for size, episodes in (("fast", None), ("stable", RATE_STUDY_EPISODES)):
        others = {rate: evidence.rows(claim_source(f"{size}/rate-{rate}")) for rate in RATES if rate != REPORTED_RATE}
        runs = {REPORTED_RATE: evidence.rows(size_source(size, AS_REPORTED)), **others}
        parts += _rates_of(size, {rate: [_truncate(row, episodes) for row in rows] for rate, rows in runs.items()})
    return [*parts, _preset_rates(evidence)]


def _truncate(row: Row, episodes: int | None) -> Row:
    """Return a run with only its first episodes and the losses of their updates; the whole run if None."""
    if episodes is None:
        return row
    updates = len(row.losses) * episodes // len(row.returns)
    return row.model_copy(update={"returns": row.returns[:episodes], "losses": row.losses[:updates]})


def _rates_of(size: str, runs: dict[str, list[Row]]) -> Parts:
    """Judge the learning rates of one size, from its runs by rate."""
    ends = {rate: as_array(map(mean_last_100, rows)) for rate, rows in runs.items()}
    gains = {rate: difference_interval(end, ends[REPORTED_RATE]) for rate, end in ends.items() if rate != REPORTED_RATE}
    best = max(gains, key=lambda rate: gains[rate].estimate)
    outcomes = {below(gain) for gain in gains.values()}
    optimal = next((outcome for outcome in (CONTRADICTED, NOT_DECIDABLE) if outcome in outcomes), SUPPORTED)
    means = ", ".join(f"{rate} {number_text(float(end.mean()), '+.2f')}" for rate, end in ends.items())
    count = f"{len(runs[REPORTED_RATE][0].returns):,}"
    return [
        VerdictPart(
            f"{size.capitalize()}: of the others {best} ends highest; its end less that of {REPORTED_RATE}: "
            f"{estimate_text(gains[best])}.",
            optimal,
        ),
        *(_divergence(size, rate, runs[rate]) for rate in REPORTED_DIVERGING),
        VerdictPart(f"{size.capitalize()}, mean of the last {LONG_WINDOW} of {count} episodes by rate: {means}."),
    ]


def _divergence(size: str, rate: str, rows: list[Row]) -> VerdictPart:
    rise = mean_interval([np.mean(row.returns[-LONG_WINDOW:]) - np.mean(row.returns[:LONG_WINDOW]) for row in rows])
    sentence = f"{size.capitalize()} at {rate}: last {LONG_WINDOW} episodes less the first {estimate_text(rise)}."
    return VerdictPart(sentence, below(rise))


def _preset_rates(evidence: Evidence) -> VerdictPart:
    """Return the results of our preset of fast with these initial rates and with its own."""
    sources = {rate: claim_source(f"fast/preset-rate-{rate}") for rate in RATES}
    by_rate = {rate: evidence.mean(source, mean_last_100).estimate for rate, source in sources.items()}
    means = ", ".join(f"{rate} {number_text(mean, '+.2f')}" for rate, mean in by_rate.items())
    own = number_text(evidence.mean(size_source("fast"), mean_last_100).estimate, "+.2f")
    return VerdictPart(
        f"Our preset of fast, whose rate falls to 0, by the rate it begins with: {means}; its own, 2e-3, {own}."
    )


@with_both_settings
def converging(evidence: Evidence, variant: str) -> Parts:
    """A run has converged behind the last block of 100 episodes that earned significantly less than its last fifth, so
    it stays there by definition. The interval of the mean over runs lies below 960 episodes for fast and within 2,400
    to 3,600 for stable, an "about" being a fifth; contradicted if one lies wholly outside.
    """
    ranges = (
        ("fast", 0.0, FAST_CONVERGENCE * (1 + ABOUT)),
        ("stable", STABLE_CONVERGENCE * (1 - ABOUT), STABLE_CONVERGENCE * (1 + ABOUT)),
    )
    return [_converged(evidence, variant, *size_and_range) for size_and_range in ranges]


def _converged(evidence: Evidence, variant: str, size: str, low: float, high: float) -> VerdictPart:
    episodes = evidence.values(size_source(size, variant), convergence)
    subject = f"{size.capitalize()} with {_settings_text(variant)}"
    if missing := int(np.isnan(episodes).sum()):
        return VerdictPart(f"{subject}: {missing} of {len(episodes)} runs show no convergence.", NOT_DECIDABLE)
    mean = mean_interval(episodes)
    return VerdictPart(f"{subject} converges by episode {estimate_text(mean, ',.0f')}.", within(mean, low, high))


@with_both_settings
def consistent(evidence: Evidence, variant: str) -> Parts:
    """The lowest of fast's last 20 episodes is above zero (interval of the mean over runs); their average is above
    stable's, and the standard deviation of the last 100 episodes below (Welch).
    """
    fast, stable = size_source("fast", variant), size_source("stable", variant)
    lowest = evidence.mean(fast, lowest_last_20)
    average, deviation, scores = (evidence.difference(fast, stable, metric) for metric in (mean_last_20, spread, score))
    return [
        VerdictPart(
            f"With {_settings_text(variant)} the mean of fast's last 20 episodes less that of stable's is "
            f"{estimate_text(average)}.",
            above(average),
        ),
        VerdictPart(f"The lowest of fast's last 20 is {estimate_text(lowest)}.", above(lowest)),
        VerdictPart(
            f"The standard deviation of its last {LONG_WINDOW} less that of stable's is {estimate_text(deviation)}.",
            below(deviation),
        ),
        VerdictPart(f"By the score, which compares sizes, fast less stable is {estimate_text(scores, '+.1f')} points."),
    ]


@with_both_settings
def peak(evidence: Evidence, variant: str) -> Parts:
    """The best training episode of stable is above fast's (Welch). The cause holds if, with our presets, 512 units and
    5,000 tokens bring more than half of that difference where the steps stay 30 (interval above half), and fails if
    they bring less.
    """
    lead = evidence.difference(size_source("stable", variant), size_source("fast", variant), max_return)
    first = VerdictPart(
        f"With {_settings_text(variant)} the best episode of stable less that of fast is {estimate_text(lead)}.",
        above(lead),
    )
    return [first, *(_cause_of_peak(evidence, lead.estimate / 2) if variant == PRESET else [])]


def _cause_of_peak(evidence: Evidence, half_lead: float) -> Parts:
    fast = size_source("fast")
    both, tokens = (evidence.difference(grid_source(units, 5000), fast, max_return) for units in (512, 256))
    return [
        VerdictPart(
            f"In fast's 30 steps 512 units with 5,000 tokens change the best episode by {estimate_text(both)}.",
            above(both, half_lead) if half_lead > 0 else NOT_DECIDABLE,
        ),
        VerdictPart(f"5,000 tokens with 256 units change it by {estimate_text(tokens)}."),
    ]


@with_both_settings
def long_tail(evidence: Evidence, variant: str) -> Parts:
    """Of what saying the rarest quarter of the words of the test messages would pay, stable recovers a larger share
    than fast (Welch).
    """
    quarters = [adequacy_of_quarter(index) for index in range(4)]
    lead = evidence.difference(size_source("stable", variant), size_source("fast", variant), quarters[-1])
    parts = [
        VerdictPart(
            f"With {_settings_text(variant)} stable's share of the rarest quarter less fast's is "
            f"{estimate_text(lead, '+.1f')} points.",
            above(lead),
        )
    ]
    for size in ("fast", "intermediate", "stable"):
        shares = ", ".join(f"{evidence.mean(size_source(size, variant), quarter).estimate:.1f}" for quarter in quarters)
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
