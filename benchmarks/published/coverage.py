"""Measure how often an interval over seeds holds what it promises, on data whose truth is known.

Three kinds of runs: normal; skewed (exponential); collapsing (normal, but one run in ten ends 5 standard
deviations lower). An honest 95 % interval covers the truth in 95 % of the trials.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from agents.evaluation.statistics import (
    LEAST_SEEDS_FOR_IQM,
    Interval,
    difference_interval,
    interquartile_mean_interval,
    mean_interval,
    prediction_interval,
    problem_interval,
)
from benchmarks.files import RESULTS

PUBLISHED = RESULTS / "coverage.csv"
SEEDS = (3, 5, 10)  # runs in a sample
MANY = 10  # runs in a sample that a smaller one is compared with
NEW_SEEDS = 5  # runs in the mean that is predicted
COLLAPSE_SHARE, COLLAPSE_DEPTH = 0.1, 5.0

Sample = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Sample]


class Population(NamedTuple):
    """A kind of run: how it is drawn, and what is true of it."""

    draw: Draw
    mean: float
    interquartile_mean: float


def _collapsing(generator: np.random.Generator, count: int) -> Sample:
    return generator.normal(size=count) - COLLAPSE_DEPTH * (generator.random(count) < COLLAPSE_SHARE)


def _middle_half_mean(quantile: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
    """The mean between the quartiles of a distribution, by its quantile function."""
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
    """The share of trials in which each 95 % interval held, a row a kind of run, interval and number of seeds."""
    rows = []
    for name, population in POPULATIONS.items():
        for count in SEEDS:
            held = _held(population, count, trials, np.random.default_rng(seed))
            rows += [
                {"runs": name, "interval": interval, "seeds": count, "trials": trials, "coverage": float(np.mean(hits))}
                for interval, hits in held.items()
            ]
    return pd.DataFrame(rows)


def _held(population: Population, count: int, trials: int, generator: np.random.Generator) -> dict[str, list[bool]]:
    held: dict[str, list[bool]] = {}
    for _ in range(trials):
        sample = population.draw(generator, count)
        new_mean = float(population.draw(generator, NEW_SEEDS).mean())
        others = population.draw(generator, MANY)
        found: dict[str, tuple[Interval, float]] = {
            "mean, Student's t": (mean_interval(sample), population.mean),
            "mean, bootstrap": (problem_interval(sample), population.mean),
            "difference of two means, Welch": (difference_interval(sample, others[:count]), 0.0),
            "difference from the mean of 5 runs, Welch": (difference_interval(sample, others[:5]), 0.0),
            "difference from the mean of 10 runs, Welch": (difference_interval(sample, others), 0.0),
            f"mean of {NEW_SEEDS} new runs, its own mean's t": (mean_interval(sample), new_mean),
            f"mean of {NEW_SEEDS} new runs, prediction": (prediction_interval(sample, NEW_SEEDS), new_mean),
        }
        if count >= LEAST_SEEDS_FOR_IQM:
            found["interquartile mean, bootstrap"] = (
                interquartile_mean_interval(sample),
                population.interquartile_mean,
            )
        for name, (interval, truth) in found.items():
            held.setdefault(name, []).append(interval.low <= truth <= interval.high)
    return held


def published() -> pd.DataFrame:
    """The study that is committed."""
    return pd.read_csv(PUBLISHED)


def coverage_cells(measured: pd.DataFrame) -> list[list[str]]:
    """The study in words: interval, number of seeds, and the coverage of each kind of runs, in the order there."""
    table = measured.pivot_table(index=["interval", "seeds"], columns="runs", values="coverage", sort=False)
    return [
        [interval, str(seeds), *(f"{100 * table.loc[(interval, seeds), name]:.1f} %" for name in POPULATIONS)]
        for interval, seeds in sorted(table.index)
    ]


def coverage_table(measured: pd.DataFrame) -> str:
    """The study as a Markdown table: a row an interval and number of seeds, a column a kind of runs."""
    heading = ["95 % interval for", "seeds", *POPULATIONS]
    rows = ["| " + " | ".join(row) + " |" for row in (heading, *coverage_cells(measured))]
    return "\n".join([rows[0], "|---|---|" + "---|" * len(POPULATIONS), *rows[1:]])
