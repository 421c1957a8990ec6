"""Summarise metrics over seeds: means, intervals, and the comparison of two cases."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from agents.evaluation.statistics import (
    MIN_SEEDS_FOR_IQM,
    Interval,
    difference_interval,
    interquartile_mean_interval,
    mean_interval,
    probability_of_improvement,
)
from benchmarks.measures.metrics import Metric


class Cell(NamedTuple):
    """The summary of one metric of one case over seeds."""

    runs: int  # number of seeds
    runs_with_value: int  # number of seeds that have a value
    text: str | None = None  # distinct values of a text metric, separated by commas
    mean: Interval | None = None  # mean with Student's t interval
    iqm: Interval | None = None  # interquartile mean with bootstrap interval, from 10 seeds on

    @property
    def varies(self) -> bool:
        """Whether the values of the seeds differ by more than rounding errors."""
        return self.mean is not None and self.mean.half_width > 1e-9 * abs(self.mean.estimate)


class Comparison(NamedTuple):
    """The comparison of two cases by one metric."""

    winner: str | None  # name of the better case; None: no significant difference
    probability: float  # P(a run of the first case is better than one of the second), ties count half


def summarise(runs: pd.DataFrame, metric: Metric) -> dict[str, Cell]:
    """Summarise a metric of every case, by case name."""
    return {str(case): _cell(values) for case, values in runs.groupby("case", sort=False)[metric.name]}


def _cell(values: pd.Series) -> Cell:
    known = values.dropna()
    if known.empty:
        return Cell(len(values), 0)
    if any(isinstance(value, str) for value in known):
        return Cell(len(values), len(known), ", ".join(dict.fromkeys(known)))
    numbers = known.astype(float)
    iqm = interquartile_mean_interval(numbers) if len(numbers) >= MIN_SEEDS_FOR_IQM else None
    return Cell(len(values), len(known), None, mean_interval(numbers), iqm)


def compare(runs: pd.DataFrame, metric: Metric, cases: tuple[str, str]) -> Comparison | None:
    """Compare two cases by a metric; one is better if the 95 % Welch interval of the difference excludes zero.

    Args:
        runs: Results with one row per run, as returned by `frame`.
        metric: Metric to compare.
        cases: Names of the two cases.

    Returns:
        None if the metric has no better direction, a run has no value, or a case has fewer than two runs.
    """
    values = [runs.loc[runs["case"] == case, metric.name] for case in cases]
    if not metric.better or any(len(of_case) < 2 or of_case.isna().any() for of_case in values):
        return None
    first, second = (metric.better * of_case.to_numpy(dtype=np.float64) for of_case in values)
    difference = difference_interval(first, second)
    winner = cases[0] if difference.low > 0 else cases[1] if difference.high < 0 else None
    return Comparison(winner, probability_of_improvement(first, second))


def long_table(runs: pd.DataFrame, metrics: list[Metric], cases: tuple[str, str]) -> pd.DataFrame:
    """Build a table of unrounded numbers with one row per metric and case.

    The columns `winner` and `first_is_better` compare the two `cases`.
    """
    rows = []
    for metric in metrics:
        comparison = compare(runs, metric, cases)
        for case, cell in summarise(runs, metric).items():
            mean, iqm = (interval or Interval(np.nan, np.nan, np.nan) for interval in (cell.mean, cell.iqm))
            rows.append(
                {
                    "metric": metric.name,
                    "case": case,
                    "runs": cell.runs,
                    "runs_with_a_figure": cell.runs_with_value,
                    "text": cell.text,
                    "mean": mean.estimate,
                    "low": mean.low,
                    "high": mean.high,
                    "iqm": iqm.estimate,
                    "iqm_low": iqm.low,
                    "iqm_high": iqm.high,
                    "winner": comparison and comparison.winner,
                    "first_is_better": comparison and comparison.probability,
                }
            )
    return pd.DataFrame(rows)
