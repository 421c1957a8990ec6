"""Say how sure a figure is: intervals over seeds, over pairs of seeds, over problems inside one model.

Which interval covers what, at 3, 5 and 10 seeds, is measured by `python -m benchmarks coverage`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from token_env.errors import SettingError
from token_env.optimum.cache import score

CONFIDENCE = 0.95
RESAMPLES = 9999
BOOTSTRAP_SEED = 0
WINDOW = 100  # episodes of the running mean return, and of the "last 100" in every summary
LEAST_SEEDS_FOR_IQM = 10  # fewer leave half of the seeds too few to resample


class Interval(NamedTuple):
    """An estimate and the interval around it; NaN bounds where the data cannot give one."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def interval_text(interval: Interval) -> str:
    """Format an estimate with its bounds, as `+0.024 [+0.019, +0.028]`; without bounds where they are NaN."""
    if np.isnan(interval.half_width):
        return f"{interval.estimate:+.3f}"
    return f"{interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean of independent values [n], one a seed, with Student's t interval.

    Raises:
        SettingError: no values.
    """
    sample = _sample(values)
    return _t_interval(sample, 1.0 / len(sample), confidence)


def paired_interval(a: ArrayLike, b: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean of a - b, [n] and [n] paired (same seeds, or same problems), with Student's t interval.

    Raises:
        SettingError: no values, or not as many of one as of the other.
    """
    first, second = _sample(a), _sample(b)
    if len(first) != len(second):
        raise SettingError(f"{len(first)} values cannot be paired with {len(second)}.")
    return mean_interval(first - second, confidence)


def difference_interval(a: ArrayLike, b: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean of a, [n], less mean of b, [m], of independent values, with Welch's interval; NaN bounds for one value.

    Raises:
        SettingError: no values.
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
    """Where the mean of `new_seeds` further runs will lie, from values [n] of seeds that selected nothing.

    Wider than the interval of the mean: the new mean varies, too. `x̄ ± t s √(1/n + 1/m)`.

    Raises:
        SettingError: no values, or no new seeds.
    """
    sample = _sample(values)
    if new_seeds < 1:
        raise SettingError(f"{new_seeds} new seeds were named; predict the mean of at least 1.")
    return _t_interval(sample, 1.0 / len(sample) + 1.0 / new_seeds, confidence)


def interquartile_mean(values: ArrayLike) -> float:
    """IQM: the mean of the middle half of the values [n] (Agarwal et al., NeurIPS 2021).

    Raises:
        SettingError: no values.
    """
    return float(stats.trim_mean(_sample(values), 0.25))


def interquartile_mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """IQM of values [n], one a seed, with a percentile bootstrap interval; NaN bounds below 10 seeds.

    Raises:
        SettingError: no values.
    """
    sample = _sample(values)
    estimate = interquartile_mean(sample)
    if len(sample) < LEAST_SEEDS_FOR_IQM:
        return Interval(estimate, np.nan, np.nan)
    resampled = np.asarray(stats.trim_mean(_resamples(sample), 0.25, axis=1))
    return Interval(estimate, *_percentiles(resampled, confidence))


def problem_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean over problems, values [n] of one model, with a percentile bootstrap interval over problems.

    It tells how the figure would move on other problems, not with another training.

    Raises:
        SettingError: no values.
    """
    sample = _sample(values)
    if len(sample) < 2:
        return Interval(float(sample.mean()), np.nan, np.nan)
    return Interval(float(sample.mean()), *_percentiles(_resamples(sample).mean(axis=1), confidence))


def score_interval(returns: ArrayLike, optima: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Score of one model on n problems, mean return / mean optimum, with a percentile bootstrap interval over problems.

    A problem is drawn with both its return and its optimum. NaN where the optimum is not above zero.

    Args:
        returns: [n] what the model earned.
        optima: [n] what could be earned.
        confidence: of the interval.

    Raises:
        SettingError: no values.
    """
    earned, possible = _sample(returns), _sample(optima)
    estimate = float(score(earned.mean(), possible.mean()))
    if len(earned) < 2 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan)
    resampled = score(_resamples(earned).mean(axis=1), _resamples(possible).mean(axis=1))
    return Interval(estimate, *_percentiles(resampled, confidence))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """How often a value of a, [n], exceeds one of b, [m], ties counting half: 0.5 means neither is better.

    Raises:
        SettingError: no values.
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
    """Bootstrap samples, [RESAMPLES, n]; the same for the same number of values."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    return sample[generator.integers(len(sample), size=(RESAMPLES, len(sample)))]


def _percentiles(resampled: NDArray[np.float64], confidence: float) -> Sequence[float]:
    low, high = np.quantile(resampled, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(low), float(high)


def running_mean(values: Sequence[float], window: int) -> NDArray[np.float64]:
    """The mean of the last `window` values up to each one, [n]; of fewer at the beginning."""
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[last] - sums[first]) / (last - first)
