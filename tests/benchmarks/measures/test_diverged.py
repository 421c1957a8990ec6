"""Rows of trainings that diverged: what they hold, and which metrics they have."""

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.measures import series
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.results_file import append, read_rows
from tests.support.benchmarks.rows import figures, make_diverged_row, make_row


def test_a_diverged_row_comes_back_and_its_run_counts_as_made(tmp_path):
    assert append("tiny", tmp_path, make_diverged_row())
    assert not append("tiny", tmp_path, make_row())
    assert read_rows("tiny", tmp_path).accepted == [make_diverged_row()]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"returns": [1.0, 2.0]}, "the returns of 2 of 3 episodes"),
        ({"training_problems": figures()}, "it diverged, but its agent was evaluated"),
        ({"held_out": make_row().held_out}, "it diverged, but its agent was evaluated"),
        ({"held_out": {}}, "held_out lacks fluent, greedy, random, verbatim"),
        ({"diverged": 401, "returns": [1.0] * 401}, "the returns of 401 of 401 episodes"),
        ({"diverged": -1}, "greater than or equal to 0"),
    ],
)
def test_a_diverged_row_that_contradicts_itself_is_refused(changes, reason):
    fields = make_diverged_row().model_dump() | changes
    with pytest.raises(ValidationError, match=reason):
        type(make_row()).model_validate(fields)


def test_a_whole_row_needs_its_training_problems():
    with pytest.raises(ValidationError, match="it lacks training_problems"):
        make_row(training_problems=None)


def test_only_metrics_that_need_neither_the_whole_training_nor_the_agent_have_a_value(monkeypatch):
    monkeypatch.setattr("benchmarks.measures.figures.mean_optimum", lambda *of: 4.0)
    values = {name: metric.compute(make_diverged_row()) for name, metric in METRICS.items()}
    assert values["max_return"] == 3.0
    assert values["min_loss"] == 2.0
    assert values["reference_greedy"] == 2.4
    assert values["optimum"] == 4.0
    with_value = {name for name, value in values.items() if value is not None}
    assert with_value == {
        "vocab_size", "hidden", "max_steps", "learning_rate", "device", "policy_mb", "episodes_per_minute",
        "steps_per_second", "cpu_percent", "max_return", "min_loss", "optimum", "head", "reference_greedy",
        "reference_fluent", "reference_verbatim", "reference_random", "score_of_greedy",
    }  # fmt: skip


def test_curves_end_where_a_training_diverged():
    rows = [make_row(returns=[1.0] * 400, losses=[4.0, 3.0, 2.0, 1.0]), make_diverged_row(seed=1)]
    returns, losses = series.returns(rows), series.losses(rows)
    assert returns.episodes[-1] == 400
    assert returns.values[1, :2].tolist() == [1.0, 1.5]
    assert np.isnan(returns.values[1, -1])
    assert returns.band.mean[-1] == 1.0
    np.testing.assert_equal(losses.values, [[4.0, 3.0, 2.0, 1.0], [2.0, np.nan, np.nan, np.nan]])
