"""Judge the report's claims on size, time and devices. The docstring of a judging function is the published rule."""

import numpy as np

from agents.evaluation.statistics import Interval, difference_interval
from benchmarks.claims.evidence import (
    MIN_RUNS,
    PLAIN,
    Evidence,
    Source,
    as_array,
    claim_source,
    grid_source,
    size_source,
)
from benchmarks.claims.verdict import NOT_DECIDABLE, Claim, Parts, VerdictPart, above, below, estimate_text, within
from benchmarks.measures.figures import LONG_WINDOW, mean_last_100, score, steps_per_second
from benchmarks.measures.row import Row
from benchmarks.suite.claim_cases import grid_variant

MAX_SIZE_GAIN = 5.0  # points of score; a smaller gain from twice the units counts as diminishing returns
MAX_COMPUTE_RATIO = 1.1  # the winner may use at most this multiple of the other's compute
REPORTED_SPEEDUP = (3.0, 5.0)  # speed on mps relative to the cpu, according to the report


def size_against_time(evidence: Evidence) -> Parts:
    """Fast's preset, with the tied head and with plain logits. Twice the episodes bring the mean of the last 100 of
    2,000 less that of the last 100 of the first 1,000; twice the units bring that of 512 units less that of 256, both
    after 2,000. Episodes bring more (Welch), and units at most 5 points of score (interval of the difference below 5).
    """
    heads = (
        ("the tied head", size_source("fast"), grid_source(512, 1000)),
        ("plain logits", PLAIN, claim_source(f"plain/{grid_variant(512, 1000)}")),
    )
    return [part for head in heads for part in _doubled(evidence, *head)]


def _doubled(evidence: Evidence, head: str, small: Source, large: Source) -> Parts:
    longer, wider = evidence.mean(small, _second_half), evidence.difference(large, small, mean_last_100)
    after_longer = evidence.values(small, mean_last_100) + evidence.values(small, _second_half)
    advantage = difference_interval(after_longer, evidence.values(large, mean_last_100))
    score_gain = evidence.difference(large, small, score)
    return [
        VerdictPart(
            f"With {head} twice the episodes bring {estimate_text(longer)} and twice the units {estimate_text(wider)}, "
            f"a difference of {estimate_text(advantage)}.",
            above(advantage),
        ),
        VerdictPart(
            f"Twice the units change its score by {estimate_text(score_gain, '+.1f')} points.",
            below(score_gain, MAX_SIZE_GAIN),
        ),
    ]


def _second_half(row: Row) -> float:
    """Return how much the mean return of the last 100 episodes rises in the second half of a training."""
    middle = len(row.returns) // 2
    return float(np.mean(row.returns[-LONG_WINDOW:]) - np.mean(row.returns[middle - LONG_WINDOW : middle]))


def device(evidence: Evidence) -> Parts:
    """Steps per second of a case with at least three runs on either: the interval of the ratio (Welch, of logarithms)
    lies within 3 to 5; contradicted if wholly outside; not decidable without runs on mps.
    """
    parts = []
    for case in dict.fromkeys(row.case for row in evidence.all_rows):
        mps, cpu = (_speeds(evidence, case, name) for name in ("mps", "cpu"))
        if min(len(mps), len(cpu)) >= MIN_RUNS:
            speedup = Interval(*np.exp(difference_interval(np.log(mps), np.log(cpu))))
            sentence = f"{case}: {estimate_text(speedup, '.1f')} times as fast on mps."
            parts.append(VerdictPart(sentence, within(speedup, *REPORTED_SPEEDUP)))
    return parts or [
        VerdictPart(
            "No run was made on mps; what one NVIDIA GPU did beside its CPU is in docs/speed.md.", NOT_DECIDABLE
        )
    ]


def _speeds(evidence: Evidence, case: str, device_name: str) -> np.ndarray:
    """Return the steps per second of each run of a case on a device, [N]."""
    runs = [row for row in evidence.all_rows if (row.case, row.machine.device) == (case, device_name)]
    return as_array(steps_per_second(row) for row in runs)


def hybrid(evidence: Evidence) -> Parts:
    """Fast's preset, then stable from its weights, against stable alone, by the score. The run of fast takes the place
    of 750 episodes of stable; its processor time, at the pace of the episodes behind it, tells what it really took:
    who is ahead may have used a tenth more than the other, else the budget decides nothing. Supported if hybrid is
    ahead at one of two budgets and behind at none (Welch), contradicted the other way round.
    """
    budgets = (
        (size_source("stable"), claim_source("stable/hybrid")),
        (claim_source("stable/short"), claim_source("stable/short-hybrid")),
    )
    comparisons = [_at_equal_compute(evidence, *budget) for budget in budgets]
    outcomes = {outcome for _, outcome in comparisons} - {NOT_DECIDABLE}
    verdict = outcomes.pop() if len(outcomes) == 1 else NOT_DECIDABLE
    decisive_first = sorted(comparisons, key=lambda comparison: comparison[1] != verdict)
    return [VerdictPart(sentence, verdict) for sentence, _ in decisive_first]


def _at_equal_compute(evidence: Evidence, alone: Source, hybrid_case: Source) -> tuple[str, str]:
    """Compare the scores at one budget: return the finding as a sentence, and the outcome."""
    episodes = len(evidence.rows(alone)[0].returns)
    share = evidence.mean(hybrid_case, compute_in_episodes).estimate / episodes
    gain = evidence.difference(hybrid_case, alone, score)
    sentence = (
        f"For the compute of {episodes:,} episodes of stable (used: {100 * share:.0f} %) fast first changes the score "
        f"by {estimate_text(gain, '+.1f')} points."
    )
    fair = share <= MAX_COMPUTE_RATIO if gain.estimate > 0 else share >= 1 / MAX_COMPUTE_RATIO
    return sentence, above(gain) if fair else NOT_DECIDABLE


def compute_in_episodes(row: Row) -> float:
    """Return the CPU time of both trainings of a hybrid run, in episodes at the pace of the second training."""
    assert row.start is not None  # the results file is checked for it when it is read
    seconds_per_episode = row.training.cpu_seconds / len(row.returns)
    return len(row.returns) + row.start.training.cpu_seconds / seconds_per_episode


BUDGET_CLAIMS = (
    Claim("size_vs_time", "Training time matters more than model size, whose returns diminish.", size_against_time),
    Claim("mps", "Training on mps is 3 to 5 times as fast as on the cpu.", device),
    Claim("hybrid", "Start with fast and finish with stable.", hybrid),
)
