"""Measure the coverage of intervals over seeds on simulated runs with known true values.

Three kinds of runs are simulated: normal, skewed (exponential), and collapsing (normal, but one run in ten ends 5
standard deviations lower). A correct 95 % interval covers the true value in 95 % of the samples.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from agents.evaluation.statistics import (
    MIN_SEEDS_FOR_IQM,
    Interval,
    difference_interval,
    interquartile_mean_interval,
    mean_interval,
    prediction_interval,
    problem_interval,
)
from benchmarks.files import RESULTS

PUBLISHED = RESULTS / "coverage.csv"
SEEDS = (3, 5, 10)  # runs per sample
LARGE_SAMPLE = 10  # runs per comparison sample
NEW_RUNS = 5  # runs in the predicted mean
COLLAPSE_SHARE, COLLAPSE_DEPTH = 0.1, 5.0

Sample = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Sample]


class Population(NamedTuple):
    """A distribution of runs with its true values."""

    draw: Draw
    mean: float
    interquartile_mean: float


def _collapsing(generator: np.random.Generator, count: int) -> Sample:
    return generator.normal(size=count) - COLLAPSE_DEPTH * (generator.random(count) < COLLAPSE_SHARE)


def _middle_half_mean(quantile: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
    """Return the mean between the quartiles of a distribution, given its quantile function."""
    return float(quantile(0.25 + 0.5 * (np.arange(100_000) + 0.5) / 100_000).mean())


def _collapsing_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    grid = np.linspace(-COLLAPSE_DEPTH - 6.0, 6.0, 200_001)
    below = COLLAPSE_SHARE * stats.norm.cdf(grid + COLLAPSE_DEPTH) + (1 - COLLAPSE_SHARE) * stats.norm.cdf(grid)
    return np.interp(p, below, grid)


POPULATIONS = {
    "normal": Population(lambda generator, count: generator.normal(size=count), 0.0, 0.0),
    "skewed": Population(
        lambda generator, count: generator.exponential(size=count), 1.0, _middle_half_mean(stats.expon.ppf)
    ),
    "collapsing": Population(_collapsing, -COLLAPSE_SHARE * COLLAPSE_DEPTH, _middle_half_mean(_collapsing_quantile)),
}


def coverage(trials: int, seed: int = 0) -> pd.DataFrame:
    """Measure the share of samples in which each 95 % interval contains the true value.

    Args:
        trials: Number of samples per figure.
        seed: Seed of the random generator.

    Returns:
        A DataFrame with one row per kind of runs, interval and number of seeds.
    """
    rows = []
    for name, population in POPULATIONS.items():
        for count in SEEDS:
            by_interval = _coverage_hits(population, count, trials, np.random.default_rng(seed))
            rows += [
                {"runs": name, "interval": interval, "seeds": count, "trials": trials, "coverage": float(np.mean(hits))}
                for interval, hits in by_interval.items()
            ]
    return pd.DataFrame(rows)


def _coverage_hits(
    population: Population, count: int, trials: int, generator: np.random.Generator
) -> dict[str, list[bool]]:
    """Draw `trials` samples of `count` runs; return for each interval whether it contained the true value, [trials]."""
    hits: dict[str, list[bool]] = {}
    for _ in range(trials):
        sample = population.draw(generator, count)
        new_mean = float(population.draw(generator, NEW_RUNS).mean())
        others = population.draw(generator, LARGE_SAMPLE)
        intervals: dict[str, tuple[Interval, float]] = {  # interval and true value
            "mean, Student's t": (mean_interval(sample), population.mean),
            "mean, bootstrap": (problem_interval(sample), population.mean),
            "difference of two means, Welch": (difference_interval(sample, others[:count]), 0.0),
            "difference from the mean of 5 runs, Welch": (difference_interval(sample, others[:5]), 0.0),
            "difference from the mean of 10 runs, Welch": (difference_interval(sample, others), 0.0),
            f"mean of {NEW_RUNS} new runs, its own mean's t": (mean_interval(sample), new_mean),
            f"mean of {NEW_RUNS} new runs, prediction": (prediction_interval(sample, NEW_RUNS), new_mean),
        }
        if count >= MIN_SEEDS_FOR_IQM:
            intervals["interquartile mean, bootstrap"] = (
                interquartile_mean_interval(sample),
                population.interquartile_mean,
            )
        for name, (interval, truth) in intervals.items():
            hits.setdefault(name, []).append(interval.low <= truth <= interval.high)
    return hits


def published() -> pd.DataFrame:
    """Load the committed figures of the three kinds of runs; the file has those of `unlike_arms` too."""
    figures = pd.read_csv(PUBLISHED)
    return figures[figures["runs"].isin(list(POPULATIONS))].astype({"seeds": int})


def coverage_cells(figures: pd.DataFrame) -> list[list[str]]:
    """Format coverage as table cells: interval, number of seeds, and the coverage for each kind of runs.

    Args:
        figures: Result of `coverage`.
    """
    table = figures.pivot_table(index=["interval", "seeds"], columns="runs", values="coverage", sort=False)
    return [
        [interval, str(seeds), *(f"{100 * table.loc[(interval, seeds), name]:.1f} %" for name in POPULATIONS)]
        for interval, seeds in sorted(table.index)
    ]


def coverage_table(figures: pd.DataFrame) -> str:
    """Format coverage as a Markdown table: one row per interval and number of seeds, one column per kind of runs."""
    heading = ["95 % interval for", "seeds", *POPULATIONS]
    rows = ["| " + " | ".join(row) + " |" for row in (heading, *coverage_cells(figures))]
    return "\n".join([rows[0], "|---|---|" + "---|" * len(POPULATIONS), *rows[1:]])
