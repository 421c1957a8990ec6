"""Judge the report's claims on size, time and devices. The docstring of a judging function is the published rule."""

import numpy as np

from agents.evaluation.statistics import Interval, difference_interval, mean_interval
from benchmarks.claims.evidence import (
    MIN_RUNS,
    PLAIN,
    Evidence,
    Source,
    TooFewRunsError,
    claim_source,
    grid_source,
    size_source,
)
from benchmarks.claims.verdict import NOT_DECIDABLE, Claim, Parts, VerdictPart, above, below, estimate_text, within
from benchmarks.measures.figures import cpu_minutes, steps_per_second
from benchmarks.measures.shares import validation_score
from benchmarks.suite.cases import DEVICES
from benchmarks.suite.claim_cases import grid_variant

NEGLIGIBLE_POINTS = 1.0  # points of score; a smaller difference does not matter
MAX_SIZE_GAIN = 5.0  # points of score; a smaller gain from twice the units counts as diminishing returns
REPORTED_SPEEDUP = (3.0, 5.0)  # speed on mps relative to the cpu, according to the report


def size_against_time(evidence: Evidence) -> Parts:
    """Fast's preset, and plain logits. Twice the episodes bring the score of 2,000 episodes less that of runs of 1,000;
    twice the units bring that of 512 units less that of 256. Episodes bring more, and units at most 5 points (interval
    of the difference below 5); scores on validation problems, runs paired by seed.
    """
    heads = (
        ("our preset", size_source("fast"), claim_source("fast/half"), grid_source(512, 1000)),
        ("plain logits", PLAIN, claim_source("plain/half"), claim_source(f"plain/{grid_variant(512, 1000)}")),
    )
    return [part for head in heads for part in _doubled(evidence, *head)]


def _doubled(evidence: Evidence, head: str, base: Source, half: Source, wide: Source) -> Parts:
    longer, wider = (evidence.paired(first, second, validation_score) for first, second in ((base, half), (wide, base)))
    scores = [evidence.by_seed(source, validation_score) for source in (base, half, wide)]
    seeds = sorted(set.intersection(*map(set, scores)))
    if len(seeds) < MIN_RUNS:
        raise TooFewRunsError(wide, len(seeds))
    of_base, of_half, of_wide = (np.array([of_case[seed] for seed in seeds]) for of_case in scores)
    advantage = mean_interval((of_base - of_half) - (of_wide - of_base), evidence.confidence)
    return [
        VerdictPart(
            f"With {head} twice the episodes bring {estimate_text(longer, '+.1f')} points of score and twice the units "
            f"{estimate_text(wider, '+.1f')}, a difference of {estimate_text(advantage, '+.1f')}.",
            above(advantage),
        ),
        VerdictPart(
            f"With {head} twice the units bring {estimate_text(wider, '+.1f')} points.", below(wider, MAX_SIZE_GAIN)
        ),
    ]


def device(evidence: Evidence) -> Parts:
    """Steps per second of a size with at least three runs on either: the interval of the ratio (Welch, of logarithms)
    lies within 3 to 5; contradicted if wholly outside; not decidable if no size has these runs.
    """
    parts = []
    for size in ("fast", "stable"):
        try:
            mps, cpu = (
                np.log(evidence.values(Source(DEVICES, f"{size}/{name}"), steps_per_second)) for name in ("mps", "cpu")
            )
        except TooFewRunsError:
            continue
        speedup = Interval(*np.exp(difference_interval(mps, cpu, evidence.confidence)))
        sentence = f"{size.capitalize()}: {estimate_text(speedup, '.1f')} times as fast on mps."
        parts.append(VerdictPart(sentence, within(speedup, *REPORTED_SPEEDUP)))
    return parts or [
        VerdictPart(
            "No size has three runs on mps and on the cpu: on a Mac type "
            f"`python -m benchmarks run {DEVICES} --seeds 5 --results runs/mps`, "
            "then `python -m benchmarks claims --results runs/mps`.",
            NOT_DECIDABLE,
        )
    ]


def settings_from_fast(evidence: Evidence) -> Parts:
    """The settings that were tuned on fast train stable: its score is at most a point lower than with the settings
    that were tuned on stable itself (interval of the difference above −1), on validation problems, runs paired by
    seed. Contradicted if it is more than a point lower.
    """
    loss = evidence.paired(claim_source("stable/fast-settings"), size_source("stable"), validation_score)
    minutes = {size: evidence.mean(size_source(size), cpu_minutes).estimate for size in ("fast", "stable")}
    return [
        VerdictPart(
            f"Stable trained with the settings of fast's preset scores {estimate_text(loss, '+.1f')} points more than "
            "with those of its own.",
            above(loss, -NEGLIGIBLE_POINTS),
        ),
        VerdictPart(
            f"A trial on fast takes {minutes['fast']:.1f} minutes of processor time, one on stable "
            f"{minutes['stable']:.1f}."
        ),
    ]


BUDGET_CLAIMS = (
    Claim(
        "size_vs_time",
        "Training time matters more than model size, whose returns diminish.",
        size_against_time,
        4,
        "Rewritten on 2026-11-28: before, half a training stood for a training of half the length, and raw returns "
        "were compared. Known were runs of presets without a plan; those that it is judged by were made afterwards.",
    ),
    Claim(
        "mps",
        "Training on mps is 3 to 5 times as fast as on the cpu.",
        device,
        2,
        "Written before any run; a benchmark of its own since 2026-11-28.",
    ),
    Claim(
        "tuning",
        "Start with fast, tune there, and finish with stable.",
        settings_from_fast,
        1,
        "Written on 2026-11-28, before its runs were made. The first version had tested the transfer of weights, which "
        "is now a question of its own.",
    ),
)
