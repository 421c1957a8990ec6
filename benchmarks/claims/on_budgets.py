"""Judge what the report says of size, time and devices. The docstring of what judges a claim is its rule."""

import numpy as np

from agents.evaluation.statistics import Interval, difference_interval
from benchmarks.claims.evidence import LEAST_RUNS, PLAIN, Evidence, Source, cell, claimed, numbers, sized
from benchmarks.claims.verdict import NOT_DECIDABLE, Claim, Parts, VerdictPart, above, below, told, within
from benchmarks.measures.figures import LAST, mean_last_100, score, steps_per_second
from benchmarks.measures.row import Row
from benchmarks.suite.claim_cases import grid_variant

DIMINISHED = 5.0  # points of score that twice the units may bring at most
EXCESS = 1.1  # times the compute of the other that the one ahead may have used
FASTER = (3.0, 5.0)  # how many times as fast as the cpu mps is, by the report


def size_against_time(evidence: Evidence) -> Parts:
    """Fast's preset, with the tied head and with plain logits. Twice the episodes bring the mean of the last 100 of
    2,000 less that of the last 100 of the first 1,000; twice the units bring that of 512 units less that of 256, both
    after 2,000. Episodes bring more (Welch), and units at most 5 points of score (interval of the difference below 5).
    """
    heads = (
        ("the tied head", sized("fast"), cell(512, 1000)),
        ("plain logits", PLAIN, claimed(f"plain/{grid_variant(512, 1000)}")),
    )
    return [part for head in heads for part in _doubled(evidence, *head)]


def _doubled(evidence: Evidence, head: str, small: Source, large: Source) -> Parts:
    longer, wider = evidence.mean(small, _second_half), evidence.difference(large, small, mean_last_100)
    with_both = evidence.values(small, mean_last_100) + evidence.values(small, _second_half)
    more = difference_interval(with_both, evidence.values(large, mean_last_100))
    points = evidence.difference(large, small, score)
    return [
        VerdictPart(
            f"With {head} twice the episodes bring {told(longer)} and twice the units {told(wider)}, a difference of "
            f"{told(more)}.",
            above(more),
        ),
        VerdictPart(f"Twice the units change its score by {told(points, '+.1f')} points.", below(points, DIMINISHED)),
    ]


def _second_half(row: Row) -> float:
    """What the second half of a training adds to the mean of 100 episodes."""
    middle = len(row.returns) // 2
    return float(np.mean(row.returns[-LAST:]) - np.mean(row.returns[middle - LAST : middle]))


def device(evidence: Evidence) -> Parts:
    """Steps per second of a case with at least three runs on either: the interval of the ratio (Welch, of logarithms)
    lies within 3 to 5; contradicted if wholly outside; not decidable without runs on mps.
    """
    parts = []
    for case in dict.fromkeys(row.case for row in evidence.all_rows):
        mps, cpu = (_speeds(evidence, case, name) for name in ("mps", "cpu"))
        if min(len(mps), len(cpu)) >= LEAST_RUNS:
            times = Interval(*np.exp(difference_interval(np.log(mps), np.log(cpu))))
            parts.append(VerdictPart(f"{case}: {told(times, '.1f')} times as fast on mps.", within(times, *FASTER)))
    return parts or [
        VerdictPart(
            "No run was made on mps; what one NVIDIA GPU did beside its CPU is in docs/speed.md.", NOT_DECIDABLE
        )
    ]


def _speeds(evidence: Evidence, case: str, name: str) -> np.ndarray:
    return numbers(steps_per_second(row) for row in evidence.all_rows if (row.case, row.machine.device) == (case, name))


def hybrid(evidence: Evidence) -> Parts:
    """Fast's preset, then stable from its weights, against stable alone, by the score. The run of fast takes the place
    of 750 episodes of stable; its processor time, at the pace of the episodes behind it, tells what it really took:
    who is ahead may have used a tenth more than the other, else the budget decides nothing. Supported if hybrid is
    ahead at one of two budgets and behind at none (Welch), contradicted the other way round.
    """
    budgets = ((sized("stable"), claimed("stable/hybrid")), (claimed("stable/short"), claimed("stable/short-hybrid")))
    found = [_at_equal_compute(evidence, *budget) for budget in budgets]
    outcomes = {outcome for _, outcome in found} - {NOT_DECIDABLE}
    verdict = outcomes.pop() if len(outcomes) == 1 else NOT_DECIDABLE
    decisive_first = sorted(found, key=lambda each: each[1] != verdict)
    return [VerdictPart(words, verdict) for words, _ in decisive_first]


def _at_equal_compute(evidence: Evidence, alone: Source, both: Source) -> tuple[str, str]:
    episodes = len(evidence.rows(alone)[0].returns)
    share = evidence.mean(both, compute).estimate / episodes
    gain = evidence.difference(both, alone, score)
    words = (
        f"For the compute of {episodes:,} episodes of stable (used: {100 * share:.0f} %) fast first changes the score "
        f"by {told(gain, '+.1f')} points."
    )
    fair = share <= EXCESS if gain.estimate > 0 else share >= 1 / EXCESS
    return words, above(gain) if fair else NOT_DECIDABLE


def compute(row: Row) -> float:
    """Processor time of both trainings, in episodes of the second: what the first took is counted at its pace."""
    assert row.start is not None  # of rows whose case has one, which reading makes sure of
    pace = row.training.cpu_seconds / len(row.returns)
    return len(row.returns) + row.start.training.cpu_seconds / pace


BUDGET_CLAIMS = (
    Claim("size_vs_time", "Training time matters more than model size, whose returns diminish.", size_against_time),
    Claim("mps", "Training on mps is 3 to 5 times as fast as on the cpu.", device),
    Claim("hybrid", "Start with fast and finish with stable.", hybrid),
)
