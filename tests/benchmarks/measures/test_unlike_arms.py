"""How often comparisons are right where the two sides are of unlike kinds."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.measures import unlike_arms
from tests.support.benchmarks.rows import make_row
from token_env import SettingError


@pytest.fixture
def sides(monkeypatch):
    """Made-up scores in place of committed ones; those of `heads` are skewed."""
    scores = {"fast-vs-stable": np.array([82.0, 83.0, 84.0, 85.0]), "heads": np.array([-900.0, 40.0, 50.0, 60.0])}
    monkeypatch.setattr(unlike_arms, "scores_of", lambda side: scores.get(side.benchmark, np.arange(4.0)))
    return scores


def test_a_shift_leaves_each_side_ahead_in_half_of_the_pairs(sides):
    first, second = sides["fast-vs-stable"], sides["heads"]
    shifted = second + unlike_arms.equalising_shift(first, second)
    assert (first[:, None] > shifted).mean() == 0.5


@pytest.mark.usefixtures("sides")
def test_welchs_interval_of_a_skewed_side_is_too_narrow_and_ranks_find_what_it_misses():
    figures = unlike_arms.coverage(200).set_index(["runs", "interval", "seeds"])
    welch = figures.loc[("tight against wide", unlike_arms.WELCH, "5 and 5")]
    ranks = figures.loc[("tight against wide", unlike_arms.RANKS, "5 and 5")]
    assert welch.coverage < 0.85 < ranks.coverage
    assert welch.found < 0.6
    assert ranks.found == 1.0
    assert (
        figures.loc[("tight against wide", unlike_arms.RANKS, "3 and 3")][["coverage", "found"]] == [1.0, 0.0]
    ).all()
    pd.testing.assert_frame_equal(unlike_arms.coverage(200).set_index(["runs", "interval", "seeds"]), figures)


def test_too_few_committed_runs_are_refused_with_the_command_that_makes_them(monkeypatch):
    class Results:
        accepted = [make_row("heads", "fast/stock")]  # noqa: RUF012

    monkeypatch.setattr(unlike_arms, "read_rows", lambda *of: Results)
    monkeypatch.setattr("benchmarks.measures.figures.mean_optimum", lambda *of: 4.0)
    with pytest.raises(SettingError, match=r"there are 1 runs of fast/stock.*run heads --case fast/stock"):
        unlike_arms.scores_of(unlike_arms.OTHERS[0])
