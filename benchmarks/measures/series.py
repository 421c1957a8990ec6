"""Compute training curves from rows: values per seed, their mean and its 95 % interval."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.statistics import mean_interval, running_mean
from benchmarks.measures.figures import LONG_WINDOW, mean_optimum
from benchmarks.measures.row import Row
from benchmarks.suite.case import Benchmark, Case
from benchmarks.suite.cases import AS_REPORTED, PRESET

POINTS = 250  # points per learning curve
LABELS = {AS_REPORTED: "as-reported settings", PRESET: "our preset"}  # plot labels of variants

Runs = list[tuple[Case, list[Row]]]


class Band(NamedTuple):
    """Mean over seeds and Student's t interval."""

    mean: NDArray[np.float64]  # [points] NaN if no seed has a value
    low: NDArray[np.float64]  # [points] NaN with fewer than two seeds
    high: NDArray[np.float64]  # [points] NaN with fewer than two seeds


class Series(NamedTuple):
    """A quantity during a training, for several seeds."""

    episodes: NDArray[np.float64]  # [points] number of episodes played
    values: NDArray[np.float64]  # [seeds, points] NaN if a run has no value

    @property
    def band(self) -> Band:
        """Mean and interval over seeds."""
        finite = [values[np.isfinite(values)] for values in self.values.T]
        intervals = [mean_interval(values) if len(values) else (np.nan,) * 3 for values in finite]
        return Band(*np.array(intervals, dtype=np.float64).T)


def label(case: Case) -> str:
    """Return the plot label of a case's settings."""
    return LABELS.get(case.variant, case.variant)


def without_reported_settings(runs: Runs) -> Runs:
    """Drop the runs with the original report's settings, which learn nothing."""
    return [(case, rows) for case, rows in runs if case.variant != AS_REPORTED]


def whole_runs(runs: Runs) -> Runs:
    """Drop the rows of trainings that diverged, and the cases without others."""
    whole = [(case, [row for row in rows if row.diverged is None]) for case, rows in runs]
    return [(case, rows) for case, rows in whole if rows]


def by_case(benchmark: Benchmark, rows: Iterable[Row]) -> Runs:
    """Group rows by case in the benchmark's order; skip cases without rows."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.case, []).append(row)
    return [(case, groups[case.name]) for case in benchmark.cases if case.name in groups]


def returns(rows: list[Row]) -> Series:
    """Compute the running mean return of 100 episodes at `POINTS` episodes or fewer."""
    curves = _padded([running_mean(row.returns, LONG_WINDOW) for row in rows])
    indices = np.unique(np.linspace(0, curves.shape[1] - 1, POINTS).astype(int))
    return Series(indices + 1.0, curves[:, indices])


def losses(rows: list[Row]) -> Series:
    """Collect the loss of every update."""
    values = _padded([[np.nan if loss is None else loss for loss in row.losses] for row in rows])
    return Series(_update_episodes(rows, values.shape[1]), values)


def tokens(rows: list[Row]) -> Series:
    """Collect the number of distinct tokens in the rollout of every update."""
    values = _padded([row.rollout_tokens for row in rows])
    return Series(_update_episodes(rows, values.shape[1]), values)


def validation_scores(rows: list[Row]) -> Series:
    """Compute the score of every validation during the training, in per cent; no points without validations."""
    env, problems = rows[0].settings.env, rows[0].settings.checkpoints.problems
    episodes = [float(validation.episodes) for validation in max((row.validations for row in rows), key=len)]
    returns = _padded([[validation.mean_return for validation in row.validations] for row in rows])
    optimum = mean_optimum(env, "validation", problems) if episodes else np.nan
    return Series(np.array(episodes), 100 * returns / optimum)


def _update_episodes(rows: list[Row], count: int) -> NDArray[np.float64]:
    """Return the number of episodes played before each update, [count]."""
    return np.linspace(0, max(len(row.returns) for row in rows), count + 1)[1:]


def _padded(curves: Sequence[Sequence[float] | NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return curves as one array [seeds, points]; those of trainings that diverged are shorter and end with NaN."""
    padded = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve
    return padded
