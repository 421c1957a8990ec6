"""Make curves of rows: a value for every seed and point, their mean and its interval, whatever they are drawn with."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.statistics import mean_interval, running_mean
from benchmarks.measures.figures import LAST
from benchmarks.measures.row import Row
from benchmarks.suite.case import Benchmark, Case
from benchmarks.suite.cases import AS_REPORTED, PRESET

POINTS = 250  # of a learning curve
LABELS = {AS_REPORTED: "as-reported settings", PRESET: "our preset"}  # of variants, in pictures

Runs = list[tuple[Case, list[Row]]]


class Band(NamedTuple):
    """The mean of several seeds with Student's t interval around it, each [points]; NaN where it is not known."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Series(NamedTuple):
    """A quantity in the course of a training."""

    at: NDArray[np.float64]  # [points] episodes played
    values: NDArray[np.float64]  # [seeds, points]; NaN where a run has none

    @property
    def band(self) -> Band:
        """Over seeds."""
        known = [values[np.isfinite(values)] for values in self.values.T]
        intervals = [mean_interval(values) if len(values) else (np.nan,) * 3 for values in known]
        return Band(*np.array(intervals, dtype=np.float64).T)


def label(case: Case) -> str:
    """How pictures call the settings of a case."""
    return LABELS.get(case.variant, case.variant)


def ours(runs: Runs) -> Runs:
    """The runs but for those with the report's settings, which learn nothing."""
    return [(case, rows) for case, rows in runs if case.variant != AS_REPORTED]


def by_case(benchmark: Benchmark, rows: Iterable[Row]) -> Runs:
    """The rows of every case that has any, in the benchmark's order."""
    listed = list(rows)
    runs = [(case, [row for row in listed if row.case == case.name]) for case in benchmark.cases]
    return [(case, found) for case, found in runs if found]


def returns(rows: list[Row]) -> Series:
    """The running mean of the returns of 100 episodes, at so many episodes as a picture can show."""
    curves = np.array([running_mean(row.returns, LAST) for row in rows])
    drawn = np.unique(np.linspace(0, curves.shape[1] - 1, POINTS).astype(int))
    return Series(drawn + 1.0, curves[:, drawn])


def losses(rows: list[Row]) -> Series:
    """The loss of every update."""
    values = np.array([[np.nan if loss is None else loss for loss in row.losses] for row in rows], dtype=np.float64)
    return Series(_updates(rows, values.shape[1]), values)


def tokens(rows: list[Row]) -> Series:
    """The different tokens said in the rollout of every update."""
    values = np.array([row.rollout_tokens for row in rows], dtype=np.float64)
    return Series(_updates(rows, values.shape[1]), values)


def _updates(rows: list[Row], count: int) -> NDArray[np.float64]:
    """Episodes played at each update."""
    return np.linspace(0, len(rows[0].returns), count + 1)[1:]
