"""Summarise results: each metric of each case over its seeds, with intervals, and which of two cases is better."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from agents.evaluation.statistics import (
    LEAST_SEEDS_FOR_IQM,
    Interval,
    difference_interval,
    interquartile_mean_interval,
    mean_interval,
    probability_of_improvement,
)
from benchmarks.measures.metrics import Metric


class Cell(NamedTuple):
    """A metric of a case over its seeds."""

    runs: int  # seeds
    told: int  # seeds that have the metric
    text: str | None = None  # of a metric in words, the same in every run or all that there are
    mean: Interval | None = None  # Student's t over seeds
    middle: Interval | None = None  # interquartile mean with its bootstrap, from 10 seeds on

    @property
    def varies(self) -> bool:
        """Whether there is an interval: seeds have different numbers, beyond rounding."""
        return self.mean is not None and self.mean.half_width > 1e-9 * abs(self.mean.estimate)


class Contest(NamedTuple):
    """How two cases compare by a metric."""

    winner: str | None  # name of the better case; None: no difference is shown
    probability: float  # that a run of the first case is better than one of the second, ties counting half


def summarise(runs: pd.DataFrame, metric: Metric) -> dict[str, Cell]:
    """A metric of every case, by name of the case."""
    return {str(case): _cell(values) for case, values in runs.groupby("case", sort=False)[metric.name]}


def _cell(values: pd.Series) -> Cell:
    known = values.dropna()
    if known.empty:
        return Cell(len(values), 0)
    if any(isinstance(value, str) for value in known):
        return Cell(len(values), len(known), ", ".join(dict.fromkeys(known)))
    numbers = known.astype(float)
    middle = interquartile_mean_interval(numbers) if len(numbers) >= LEAST_SEEDS_FOR_IQM else None
    return Cell(len(values), len(known), None, mean_interval(numbers), middle)


def compare(runs: pd.DataFrame, metric: Metric, contest: tuple[str, str]) -> Contest | None:
    """Which of two cases is better: the 95 % interval of the difference of their means (Welch) excludes zero.

    None where neither way is better, where a run of either has no figure, or where there are fewer than two runs.
    """
    values = [runs.loc[runs["case"] == case, metric.name] for case in contest]
    if not metric.better or any(len(of_case) < 2 or of_case.isna().any() for of_case in values):
        return None
    first, second = (metric.better * of_case.to_numpy(dtype=np.float64) for of_case in values)
    difference = difference_interval(first, second)
    ahead = contest[0] if difference.low > 0 else contest[1] if difference.high < 0 else None
    return Contest(ahead, probability_of_improvement(first, second))


def long_table(runs: pd.DataFrame, metrics: list[Metric], contest: tuple[str, str]) -> pd.DataFrame:
    """All figures as numbers: a row a metric and case; `first_is_better` compares the first case of the contest."""
    rows = []
    for metric in metrics:
        compared = compare(runs, metric, contest)
        for case, cell in summarise(runs, metric).items():
            mean, middle = (interval or Interval(np.nan, np.nan, np.nan) for interval in (cell.mean, cell.middle))
            rows.append(
                {
                    "metric": metric.name,
                    "case": case,
                    "runs": cell.runs,
                    "runs_with_a_figure": cell.told,
                    "text": cell.text,
                    "mean": mean.estimate,
                    "low": mean.low,
                    "high": mean.high,
                    "iqm": middle.estimate,
                    "iqm_low": middle.low,
                    "iqm_high": middle.high,
                    "winner": compared and compared.winner,
                    "first_is_better": compared and compared.probability,
                }
            )
    return pd.DataFrame(rows)
