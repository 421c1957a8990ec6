"""Measure how far two comparisons can be trusted where the runs of the two sides are of unlike kinds.

The sides are drawn with replacement from the scores of committed runs, whose true difference is therefore known. A
tight side is compared with a wide or skewed one, with equal and unequal numbers of seeds, by Welch's interval of the
difference of two means and by the exact rank test of Mann and Whitney.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from agents.evaluation.statistics import CONFIDENCE, difference_interval
from benchmarks.files import RESULTS
from benchmarks.measures.results_file import read_rows
from benchmarks.measures.shares import score
from benchmarks.published.coverage import PUBLISHED
from benchmarks.suite.cases import CLAIMS, FAST_VS_STABLE, HEADS, PRESET
from token_env.errors import SettingError

SEEDS = ((3, 3), (5, 5), (10, 10), (3, 10), (10, 3))  # runs of the tight side and of the other
WELCH, RANKS = "difference of two means, Welch", "rank test, Mann–Whitney"
MIN_RUNS = 3  # committed runs of a side

Sample = NDArray[np.float64]


class Side(NamedTuple):
    """One side of a comparison: a case whose committed runs are drawn."""

    kind: str
    benchmark: str
    case: str


TIGHT = Side("tight", FAST_VS_STABLE, f"fast/{PRESET}")
OTHERS = (Side("wide", HEADS, "fast/stock"), Side("wide and skewed", CLAIMS, "fast/reward-terminal"))


def coverage(trials: int, seed: int = 0) -> pd.DataFrame:
    """Measure how often each comparison of unlike sides is right.

    Args:
        trials: Number of samples per figure.
        seed: Seed of the random generator.

    Returns:
        A DataFrame with one row per pair of sides, comparison and numbers of seeds. `coverage` is the share of samples
        in which Welch's interval contains the true difference, or in which the test reports no difference of sides that
        have none: the same runs, one side shifted until either is ahead in half of all pairs. `found` is the share in
        which a comparison reports the difference that these runs have.

    Raises:
        SettingError: If committed runs are missing.
    """
    tight, rows = scores_of(TIGHT), []
    for side in OTHERS:
        other = scores_of(side)
        for counts in SEEDS:
            generator = np.random.default_rng(seed)
            samples = generator.choice(tight, (trials, counts[0])), generator.choice(other, (trials, counts[1]))
            shares = {WELCH: _welch(*samples, tight.mean() - other.mean())}
            shares[RANKS] = _ranks(*samples, equalising_shift(tight, other))
            rows += [
                {
                    "runs": f"{TIGHT.kind} against {side.kind}",
                    "interval": comparison,
                    "seeds": f"{counts[0]} and {counts[1]}",
                    "trials": trials,
                    "coverage": right,
                    "found": found,
                }
                for comparison, (right, found) in shares.items()
            ]
    return pd.DataFrame(rows)


def published() -> pd.DataFrame:
    """Load the committed figures of unlike sides; their file has those of `coverage` too."""
    figures = pd.read_csv(PUBLISHED)
    return figures[figures["interval"].isin([WELCH, RANKS]) & figures["found"].notna()]


def scores_of(side: Side) -> Sample:
    """Return the scores of the committed runs of a side, in per cent.

    Raises:
        SettingError: If there are fewer than three.
    """
    rows = (row for row in read_rows(side.benchmark, RESULTS).accepted if row.case == side.case)
    scores = [value for row in rows if isinstance(value := score(row), float)]
    if len(scores) < MIN_RUNS:
        raise SettingError(
            f"there are {len(scores)} runs of {side.case} to draw from, of {MIN_RUNS} that are needed at least; "
            f"type python -m benchmarks run {side.benchmark} --case {side.case}."
        )
    return np.array(scores)


def equalising_shift(first: Sample, second: Sample) -> float:
    """Return what to add to the second side so that either is ahead in half of all pairs (Hodges and Lehmann)."""
    return float(np.median(first[:, None] - second))


def _welch(first: Sample, second: Sample, truth: float) -> tuple[float, float]:
    """Return the share of samples, [trials, runs], whose interval contains the truth, and that excludes zero."""
    intervals = [difference_interval(*sample) for sample in zip(first, second, strict=True)]
    right = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    return float(right), float(np.mean([interval.low > 0 or interval.high < 0 for interval in intervals]))


def _ranks(first: Sample, second: Sample, shift: float) -> tuple[float, float]:
    """Return the share of samples without a difference once the second is shifted, and with one as they are."""
    rejected = [
        stats.mannwhitneyu(first, second + added, axis=1, method="exact").pvalue <= 1 - CONFIDENCE
        for added in (shift, 0.0)
    ]
    return 1 - float(rejected[0].mean()), float(rejected[1].mean())


def unlike_table(figures: pd.DataFrame) -> str:
    """Format the study as a Markdown table.

    Args:
        figures: Result of `coverage`.
    """
    lines = ["| sides | seeds | Welch: right | finds it | rank test: right | finds it |", "|---|---|---|---|---|---|"]
    for (sides, seeds), group in figures.groupby(["runs", "seeds"], sort=False):
        shares = group.set_index("interval").loc[[WELCH, RANKS], ["coverage", "found"]].to_numpy().ravel()
        lines.append("| " + " | ".join([str(sides), str(seeds), *(f"{100 * share:.1f} %" for share in shares)]) + " |")
    return "\n".join(lines)
