"""Judge the report's claim on learning rates. The docstring of `learning_rate` is the published rule."""

from typing import NamedTuple

import numpy as np

from agents.evaluation.formats import number_text
from agents.evaluation.statistics import difference_interval
from benchmarks.claims.evidence import (
    Evidence,
    Source,
    TooFewRunsError,
    UndefinedMetricError,
    claim_source,
    size_source,
)
from benchmarks.claims.verdict import (
    CONTRADICTED,
    NOT_DECIDABLE,
    SUPPORTED,
    Claim,
    Parts,
    VerdictPart,
    below,
    combined_verdict,
    estimate_text,
)
from benchmarks.measures.figures import LONG_WINDOW, mean_last_100
from benchmarks.measures.row import Row
from benchmarks.suite.cases import AS_REPORTED
from benchmarks.suite.claim_cases import OPTIMIZER_RATES, PRESET_RATES, REPORTED_RATE, rate_variant

SIZES = ("fast", "stable")
REPORTED_DIVERGING = ("1e-5", "1e-4")  # learning rates that diverge according to the report
EXPLOSION = 100.0  # a loss above this multiple of the largest squared return: values are ten times any return
LABELS = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}
TESTS = sum(len(rates) - 1 for rates in OPTIMIZER_RATES.values()) * len(SIZES)  # rates compared with 1e-6

Runs = dict[str, list[Row]]  # by learning rate


class Study(NamedTuple):
    """The outcome of one optimizer: its verdict, and a sentence for each size."""

    optimizer: str
    verdict: str
    sentences: list[str]


def learning_rate(evidence: Evidence) -> Parts:
    """The report's settings with only the rate changed, with Adam, RMSprop and plain SGD, at both sizes. The claim
    holds with an optimizer if at both sizes 1e-6 is optimal and all runs at 1e-5 and at 1e-4 diverge; it fails if one
    of these fails. It is supported if it holds with one optimizer, and contradicted if it fails with all. By the mean
    of the last 100 episodes 1e-6 is optimal if every other rate ends lower or has a diverging run, and not if one
    without such a run ends higher (Welch) or a run at 1e-6 diverges; two rates are compared after as many episodes as
    both have. An optimizer decides nothing before it has three runs at every rate. A run diverges if a number is no
    longer finite, or if a loss exceeds a hundred times the square of its largest return: the value network then
    predicts returns ten times as large as any. Returns alone tell no divergence, since a policy that has learned
    nothing already earns what random tokens earn. If no run at a rate diverges, that rate does not.
    """
    studies = [_study(evidence, optimizer) for optimizer in OPTIMIZER_RATES]
    outcomes = {study.verdict for study in studies}
    verdict = SUPPORTED if SUPPORTED in outcomes else outcomes.pop() if len(outcomes) == 1 else NOT_DECIDABLE
    summary = ", ".join(f"with {LABELS[study.optimizer]} {study.verdict}" for study in studies)
    return [
        VerdictPart(f"Judged {summary}. {studies[0].sentences[0]}", verdict),
        *(VerdictPart(sentence) for sentence in [line for study in studies for line in study.sentences][1:]),
        *_preset_rates(evidence),
    ]


def diverges(row: Row) -> bool:
    """Whether a training diverged: a number is not finite, or a loss exceeds what any return explains."""
    if row.diverged is not None or None in row.losses:
        return True
    largest = max((abs(value) for value in row.returns), default=0.0)
    return max((abs(loss) for loss in row.losses if loss is not None), default=0.0) > EXPLOSION * largest**2


def rate_source(size: str, optimizer: str, rate: str) -> Source:
    """Return the case of a size with the report's settings, this optimizer and this learning rate."""
    if (optimizer, rate) == ("adam", REPORTED_RATE):
        return size_source(size, AS_REPORTED)
    return claim_source(f"{size}/{rate_variant(optimizer, rate)}")


def _study(evidence: Evidence, optimizer: str) -> Study:
    parts: Parts = []
    try:
        for size in SIZES:
            runs = {rate: evidence.rows(rate_source(size, optimizer, rate)) for rate in OPTIMIZER_RATES[optimizer]}
            parts += _parts_of(f"{LABELS[optimizer]}, {size}", runs, evidence.confidence)
    except TooFewRunsError as missing:
        return Study(optimizer, NOT_DECIDABLE, [*(part.sentence for part in parts), str(missing)])
    return Study(optimizer, combined_verdict(parts), [part.sentence for part in parts])


def _parts_of(subject: str, runs: Runs, confidence: float) -> Parts:
    """Judge the learning rates of one optimizer and size."""
    diverging = {rate: sum(map(diverges, rows)) for rate, rows in runs.items()}
    return [
        _optimality(subject, runs, diverging, confidence),
        *(
            VerdictPart(
                f"{subject}: {diverging[rate]} of {len(runs[rate])} runs at {rate} diverge.",
                _all_or_none(diverging[rate], len(runs[rate])),
            )
            for rate in REPORTED_DIVERGING
        ),
    ]


def _optimality(subject: str, runs: Runs, diverging: dict[str, int], confidence: float) -> VerdictPart:
    """Judge whether 1e-6 ends higher than every other rate at which no run diverges."""
    reported = runs[REPORTED_RATE]
    if diverging[REPORTED_RATE]:
        sentence = f"{subject}: {diverging[REPORTED_RATE]} of {len(reported)} runs at {REPORTED_RATE} diverge."
        return VerdictPart(sentence, CONTRADICTED)
    others = [rate for rate in runs if rate != REPORTED_RATE and not diverging[rate]]
    if not others:
        return VerdictPart(f"{subject}: at every other rate than {REPORTED_RATE} runs diverge.", SUPPORTED)
    gains = {rate: difference_interval(*_comparable_ends(runs[rate], reported), confidence) for rate in others}
    best = max(gains, key=lambda rate: gains[rate].estimate)
    return VerdictPart(
        f"{subject}: of the other rates {best} ends highest; its last {LONG_WINDOW} episodes less those at "
        f"{REPORTED_RATE}: {estimate_text(gains[best])}.",
        combined_verdict([VerdictPart("", below(gain)) for gain in gains.values()]),
    )


def _comparable_ends(first: list[Row], second: list[Row]) -> tuple[list[float], list[float]]:
    """Return the mean of the last 100 of each run, after as many episodes as all of them have."""
    episodes = min(len(row.returns) for row in (*first, *second))
    ends = [[float(np.mean(row.returns[:episodes][-LONG_WINDOW:])) for row in rows] for rows in (first, second)]
    return ends[0], ends[1]


def _all_or_none(diverging: int, runs: int) -> str:
    return SUPPORTED if diverging == runs else NOT_DECIDABLE if diverging else CONTRADICTED


def _preset_rates(evidence: Evidence) -> Parts:
    """Describe the results of our preset of fast with these initial rates and with its own."""
    try:
        sources = {rate: claim_source(f"fast/preset-rate-{rate}") for rate in PRESET_RATES}
        by_rate = {rate: evidence.mean(source, mean_last_100).estimate for rate, source in sources.items()}
        own = evidence.rows(size_source("fast"))
        own_end = number_text(evidence.mean(size_source("fast"), mean_last_100).estimate, "+.2f")
    except (TooFewRunsError, UndefinedMetricError) as missing:
        return [VerdictPart(str(missing))]
    means = ", ".join(f"{rate} {number_text(mean, '+.2f')}" for rate, mean in by_rate.items())
    own_rate = f"{own[0].settings.hyperparameters.learning_rate:g}"
    return [
        VerdictPart(
            f"Our preset of fast, whose rate falls to 0, by the rate it begins with: {means}; its own, {own_rate}, "
            f"{own_end}."
        )
    ]


RATE_CLAIM = Claim(
    "lr",
    "A learning rate of 1e-6 is optimal at both sizes; 1e-5 and 1e-4 diverge.",
    learning_rate,
    TESTS,
    "Written on 2026-11-28. Known were runs of the report's settings with Adam at six rates, and trials with SGD at "
    "fast, in which 0.1 learned and 0.3 exploded in the losses; the runs with RMSprop and SGD were made afterwards.",
)
