import numpy as np
import pytest

from benchmarks.measures.convergence import convergence_episode
from benchmarks.measures.metrics import METRICS, figures_of
from tests.support.benchmark_rows import figures, make_row


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


def noisy(levels, seed=0):
    """100 episodes at each level, with noise."""
    generator = np.random.default_rng(seed)
    return np.concatenate([level + generator.normal(size=100) for level in levels])


def test_convergence_is_where_the_last_lower_block_ends():
    assert convergence_episode(noisy([-50, -5, 1, 1, 1, 1, 1, 1, 1, 1])) == 200
    assert convergence_episode(noisy([-50, 1, 1, -2, 1, 1, 1, 1, 1, 1])) == 400  # a relapse counts


def test_no_convergence_without_learning_or_while_still_learning():
    assert convergence_episode(noisy([-90] * 10)) is None
    assert convergence_episode(noisy(range(0, 20, 2))) is None
    assert convergence_episode(noisy([1, -50, 1, 1, 1, 1, 1, 1, 1, 1])) is None  # it began as well as it ended
    assert convergence_episode(noisy([0, 1])) is None
    assert convergence_episode([]) is None


def test_a_run_that_does_not_change_rarely_seems_to_have_converged():
    found = [convergence_episode(noisy([0] * 20, seed)) for seed in range(200)]
    assert sum(episode is not None for episode in found) < 10


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
