"""Compute confidence intervals: over seeds, over pairs of seeds, and over the problems of one model.

`python -m benchmarks coverage` measures the coverage of each interval at 3, 5 and 10 seeds.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from token_env.errors import SettingError
from token_env.optimum.cache import score

CONFIDENCE = 0.95
RESAMPLES = 9999
BOOTSTRAP_SEED = 0
WINDOW = 100  # episodes in the running mean return and in the "last 100" of every summary
MIN_SEEDS_FOR_IQM = 10  # with fewer seeds, the middle half is too small to resample


class Interval(NamedTuple):
    """An estimate with its interval; the bounds are NaN if the data do not determine them."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval, in the unit of the estimate."""
        return (self.high - self.low) / 2


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate the mean of independent values [n], one per seed, with Student's t interval.

    Raises:
        SettingError: There are no values.
    """
    sample = _sample(values)
    return _t_interval(sample, 1.0 / len(sample), confidence)


def paired_interval(a: ArrayLike, b: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate the mean of a - b, [n] each, paired by seed or problem, with Student's t interval.

    Raises:
        SettingError: There are no values, or the lengths differ.
    """
    first, second = _sample(a), _sample(b)
    if len(first) != len(second):
        raise SettingError(f"{len(first)} values cannot be paired with {len(second)}.")
    return mean_interval(first - second, confidence)


def difference_interval(a: ArrayLike, b: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate mean(a) - mean(b) of independent values [n] and [m] with Welch's interval; NaN bounds for one value.

    Raises:
        SettingError: There are no values.
    """
    first, second = _sample(a), _sample(b)
    difference = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return Interval(difference, np.nan, np.nan)
    parts = np.array([first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)])
    variance = float(parts.sum())
    if variance == 0.0:
        return Interval(difference, difference, difference)
    freedom = variance**2 / float((parts**2 / [len(first) - 1, len(second) - 1]).sum())  # Welch–Satterthwaite
    half_width = float(stats.t.ppf((1.0 + confidence) / 2.0, freedom) * np.sqrt(variance))
    return Interval(difference, difference - half_width, difference + half_width)


def prediction_interval(values: ArrayLike, new_seeds: int, confidence: float = CONFIDENCE) -> Interval:
    """Predict the mean of `new_seeds` further runs from values [n] of seeds that were not used for selection.

    Wider than the interval of the mean, since the new mean varies too: `x̄ ± t s √(1/n + 1/m)`.

    Raises:
        SettingError: There are no values, or no new seeds.
    """
    sample = _sample(values)
    if new_seeds < 1:
        raise SettingError(f"new_seeds is {new_seeds}; it must be at least 1.")
    return _t_interval(sample, 1.0 / len(sample) + 1.0 / new_seeds, confidence)


def interquartile_mean(values: ArrayLike) -> float:
    """Compute the IQM: the mean of the middle half of the values [n] (Agarwal et al., NeurIPS 2021).

    Raises:
        SettingError: There are no values.
    """
    return float(stats.trim_mean(_sample(values), 0.25))


def interquartile_mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate the IQM of values [n], one per seed, with a percentile bootstrap interval; NaN bounds below 10 seeds.

    Raises:
        SettingError: There are no values.
    """
    sample = _sample(values)
    estimate = interquartile_mean(sample)
    if len(sample) < MIN_SEEDS_FOR_IQM:
        return Interval(estimate, np.nan, np.nan)
    resampled = np.asarray(stats.trim_mean(_resamples(sample), 0.25, axis=1))
    return Interval(estimate, *_percentiles(resampled, confidence))


def problem_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate the mean of one model's values [n] over problems, with a percentile bootstrap interval.

    The interval covers other problems, not other trainings.

    Raises:
        SettingError: There are no values.
    """
    sample = _sample(values)
    if len(sample) < 2:
        return Interval(float(sample.mean()), np.nan, np.nan)
    return Interval(float(sample.mean()), *_percentiles(_resamples(sample).mean(axis=1), confidence))


def score_interval(returns: ArrayLike, optima: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Estimate the score of one model, mean return / mean optimum, with a percentile bootstrap interval over problems.

    Each resampled problem keeps its return and its optimum together. NaN if the mean optimum is not positive.

    Args:
        returns: [n] Returns of the model.
        optima: [n] Optimal returns of the same problems.
        confidence: Confidence level of the interval.

    Raises:
        SettingError: There are no values.
    """
    model, optimal = _sample(returns), _sample(optima)
    estimate = float(score(model.mean(), optimal.mean()))
    if len(model) < 2 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan)
    resampled = score(_resamples(model).mean(axis=1), _resamples(optimal).mean(axis=1))
    return Interval(estimate, *_percentiles(resampled, confidence))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Estimate the probability that a value of a, [n], exceeds one of b, [m]; ties count half, 0.5 means no difference.

    Raises:
        SettingError: There are no values.
    """
    first, second = _sample(a), _sample(b)
    differences = np.sign(first[:, None] - second)
    return float((differences + 1.0).mean() / 2.0)


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64).ravel()
    if not len(sample):
        raise SettingError("an interval needs at least one value.")
    return sample


def _t_interval(sample: NDArray[np.float64], variance_factor: float, confidence: float) -> Interval:
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, np.nan, np.nan)
    quantile = stats.t.ppf((1.0 + confidence) / 2.0, len(sample) - 1)
    half_width = float(quantile * sample.std(ddof=1) * np.sqrt(variance_factor))
    return Interval(mean, mean - half_width, mean + half_width)


def _resamples(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw bootstrap samples [RESAMPLES, n]; equal sample sizes get equal indices."""
    return sample[_resample_indices(len(sample))]


@lru_cache(maxsize=2)
def _resample_indices(count: int) -> NDArray[np.int64]:
    indices = np.random.default_rng(BOOTSTRAP_SEED).integers(count, size=(RESAMPLES, count))
    indices.setflags(write=False)
    return indices


def _percentiles(resampled: NDArray[np.float64], confidence: float) -> Sequence[float]:
    low, high = np.quantile(resampled, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(low), float(high)


def running_mean(values: Sequence[float], window: int) -> NDArray[np.float64]:
    """Compute the mean of the last `window` values up to each value, [n]; the first means use fewer values."""
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[last] - sums[first]) / (last - first)
