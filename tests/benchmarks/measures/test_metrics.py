import numpy as np
import pytest

from benchmarks.measures.convergence import convergence_episode
from benchmarks.measures.metrics import METRICS, figures_of
from tests.support.benchmarks.rows import figures, make_row


def test_figures_equal_hand_computed_numbers():
    returns = [-10.0] * 100 + [0.0] * 180 + [1.0, 3.0] * 60
    found = figures_of(make_row(returns=returns))
    expected = {
        "episodes": 400,
        "vocab_size": 64,
        "hidden": "64 + 64",
        "max_steps": 8,
        "learning_rate": "5e-3, falling",
        "device": "cpu",
        "policy_mb": 4.0,
        "file_mb": 4.1,
        "training_minutes": 1.0,
        "cpu_minutes": 0.75,
        "head": "planning",
        "episodes_per_minute": 400.0,
        "steps_per_second": 400 * 8 / 60,
        "peak_memory_mb": 500.0,
        "cpu_percent": 75.0,
        "max_return": 3.0,
        "final_return": 3.0,
        "mean_last_100": 2.0,
        "mean_last_20": 2.0,
        "lowest_last_20": 1.0,
        "highest_last_20": 3.0,
        "min_loss": 0.5,
        "lowest_loss_last_20": 0.5,
        "highest_loss_last_20": 3.0,
        "drawdown": 0.0,
        "spread": np.sqrt(100 / 99),
        "training_tokens": 9,
        "test_return": 1.2,
        "test_return_sampled": 1.0,
        "share_of_greedy": 50.0,
        "generalisation_gap": 0.3,
        "test_tokens": 7,
        "token_perplexity": 3.0,
        "reference_random": -90.0,
        "adequacy_commonest": 80.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["adequacy_rarest"] is found["device_use_percent"] is None


def test_losses_that_are_not_finite_are_left_out():
    assert figures_of(make_row(losses=[None, None]))["min_loss"] is None
    long = figures_of(make_row(losses=[-5.0] + [1.0] * 19 + [2.0]))
    assert (long["min_loss"], long["lowest_loss_last_20"], long["highest_loss_last_20"]) == (-5.0, 1.0, 2.0)


def test_a_drawdown_is_the_largest_fall_of_the_mean_of_100_episodes():
    returns = [0.0] * 100 + [4.0] * 100 + [1.0] * 100 + [5.0] * 100
    assert figures_of(make_row(returns=returns))["drawdown"] == pytest.approx(3.0)


def test_a_constant_rate_is_not_called_falling():
    row = make_row("fast-vs-stable", "fast/as-reported", training_problems=figures())
    assert figures_of(row)["learning_rate"] == "1e-6"


def test_every_metric_is_defined_in_a_sentence_with_more_words_than_its_heading():
    for metric in METRICS.values():
        assert len(metric.definition.split()) > len(metric.label.split()), metric.name
        assert metric.definition[0].isupper(), metric.name
        assert metric.definition.endswith("."), metric.name


def levels(*blocks):
    """100 episodes at each level, half of them 0.5 above it and half below; so the mean of any 100 is exact."""
    return np.concatenate([level + np.tile([0.5, -0.5], 50) for level in blocks])


def test_convergence_is_the_first_episode_from_which_on_the_mean_of_100_stays_near_the_last():
    assert convergence_episode(levels(-10, 1, 1, 1)) == 200
    assert convergence_episode(levels(-10, 1, 1, -10, 1, 1, 1)) == 500  # a relapse counts
    assert convergence_episode(levels(-10, 1, 12, 1, 1, 1)) == 400  # and so does a rise
    # The mean rises by 0.01 an episode.
    ascent = np.concatenate([np.zeros(100), np.ones(300)])
    assert [convergence_episode(ascent, near) for near in (0.025, 0.055, 0.105)] == [198, 195, 190]
    assert convergence_episode(-ascent, 0.055) == 195  # the distance is a share of the absolute value


def test_means_that_are_always_near_the_last_show_no_learning():
    assert convergence_episode(levels(*[-90] * 10)) is None
    assert convergence_episode(levels(0.96, 1, 1, 1)) is None
    assert convergence_episode(levels(0.94, 1, 1, 1)) == 117  # 0.06 below, of which 0.05 are near
    assert convergence_episode(levels(1)) is None


def test_a_run_that_comes_near_only_in_the_last_100_episodes_was_still_improving():
    assert convergence_episode(levels(*range(0, 20, 2))) is None
    assert convergence_episode([-10.0] * 100 + [1.0] * 199) is None
    assert convergence_episode([-10.0] * 100 + [1.0] * 200) == 200


def test_fewer_than_100_episodes_show_no_convergence():
    assert convergence_episode([]) is convergence_episode([-10.0] * 20 + [1.0] * 79) is None


def test_chance_delays_convergence_where_episodes_vary_more():
    """With a deviation of a third of the level the means of 100 vary by 3 %, and a band of 5 % is left now and then."""
    noise = np.random.default_rng(0).normal(size=2000)
    start = np.where(np.arange(2000) < 200, -50.0, 0.0)
    calm, restless = (convergence_episode(start + 1.0 + deviation * noise) for deviation in (0.05, 0.3))
    assert calm == 300
    assert restless is None or restless > 1000


def test_the_reports_average_is_reached_by_the_mean_of_100_episodes():
    returns = [0.0] * 1000 + [1.0] * 1000
    found = figures_of(make_row("fast-vs-stable", "fast/preset", returns=returns))
    assert found["episodes_to_reported"] == 1093  # 93 of 100 episodes at 1 make +0.93
    assert found["seconds_to_reported"] == pytest.approx(60 * 1093 / 2000)


def test_a_run_that_stays_below_the_reports_average_or_has_none_reaches_nothing():
    below = figures_of(make_row("fast-vs-stable", "fast/preset", returns=[0.9] * 2000))
    of_no_report = figures_of(make_row(returns=[9.0] * 400))
    for found in (below, of_no_report):
        assert found["episodes_to_reported"] is found["seconds_to_reported"] is None
