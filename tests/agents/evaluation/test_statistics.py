import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from agents.evaluation.statistics import (
    difference_interval,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    paired_interval,
    prediction_interval,
    probability_of_improvement,
    problem_interval,
)
from benchmarks.published.coverage import POPULATIONS, coverage
from benchmarks.published.coverage import published as published_coverage
from token_env import SettingError

FIVE = [1.0, 2.0, 4.0, 9.0, 4.0]
samples = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12)


def test_the_mean_has_students_interval():
    # mean 4, s = √9.5, t(0.975, 4) = 2.776445
    assert mean_interval(FIVE) == pytest.approx((4.0, 4 - 2.776445 * np.sqrt(9.5 / 5), 4 + 2.776445 * np.sqrt(9.5 / 5)))


def test_pairs_are_compared_by_their_differences():
    expected = scipy_stats.ttest_rel(FIVE, [0.0, 3.0, 3.0, 5.0, 1.0]).confidence_interval(0.95)
    interval = paired_interval(FIVE, [0.0, 3.0, 3.0, 5.0, 1.0])
    assert interval == pytest.approx((1.6, expected.low, expected.high))
    with pytest.raises(SettingError, match="5 values cannot be paired with 1"):
        paired_interval(FIVE, [1.0])


def test_independent_means_are_compared_as_welch_does():
    other = [0.0, 3.0, 3.5]
    expected = scipy_stats.ttest_ind(FIVE, other, equal_var=False).confidence_interval(0.95)
    interval = difference_interval(FIVE, other)
    assert interval == pytest.approx((4.0 - 6.5 / 3, expected.low, expected.high))
    assert difference_interval([2.0, 2.0], [1.0, 1.0]) == (1.0, 1.0, 1.0)
    assert np.isnan(difference_interval(FIVE, [1.0]).half_width)


def test_a_prediction_is_wider_than_a_mean_by_the_new_runs_own_spread():
    mean, prediction = mean_interval(FIVE), prediction_interval(FIVE, 5)
    assert prediction.half_width == pytest.approx(mean.half_width * np.sqrt(2))  # √(1/5 + 1/5) against √(1/5)
    assert prediction_interval(FIVE, 10**9).half_width == pytest.approx(mean.half_width)
    with pytest.raises(SettingError, match="at least 1"):
        prediction_interval(FIVE, 0)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean([1000.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -1000.0]) == 3.5


def test_intervals_by_bootstrap_repeat_and_hold_the_estimate():
    values = np.random.default_rng(3).normal(size=40)
    for interval_of in (interquartile_mean_interval, problem_interval):
        interval = interval_of(values)
        assert interval == interval_of(values)
        assert interval.low < interval.estimate < interval.high
    normal = 1.96 * values.std() / np.sqrt(40)
    assert problem_interval(values).half_width == pytest.approx(normal, rel=0.05)


def test_too_few_values_give_no_bounds():
    assert np.isnan(mean_interval([3.0]).half_width)
    assert np.isnan(problem_interval([3.0]).half_width)
    assert np.isnan(interquartile_mean_interval(FIVE).half_width)
    assert mean_interval([3.0]).estimate == 3.0
    with pytest.raises(SettingError, match="at least one value"):
        mean_interval([])


@given(samples, samples)
def test_the_probability_of_improvement_is_counted_over_all_pairs(a, b):
    expected = np.mean([1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b])
    assert probability_of_improvement(a, b) == pytest.approx(expected)
    assert probability_of_improvement(a, b) + probability_of_improvement(b, a) == pytest.approx(1.0)


def test_the_truths_of_the_study_are_true():
    generator = np.random.default_rng(0)
    for population in POPULATIONS.values():
        runs = population.draw(generator, 400_000)
        assert runs.mean() == pytest.approx(population.mean, abs=0.02)
        assert interquartile_mean(runs) == pytest.approx(population.interquartile_mean, abs=0.01)


def test_the_published_coverage_is_what_the_study_measures():
    published = published_coverage().set_index(["runs", "interval", "seeds"])
    trials = 120
    measured = coverage(trials, seed=1).set_index(["runs", "interval", "seeds"])
    assert set(published.index) == set(measured.index)
    share = published.coverage
    error = np.sqrt(share * (1 - share) / trials + share * (1 - share) / published.trials)
    assert (abs(measured.coverage - share) / error).max() < 4.5  # the largest of 66 normal deviates
