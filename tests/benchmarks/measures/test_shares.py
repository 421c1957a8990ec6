import pytest

from benchmarks.measures.metrics import figures_of
from tests.support.benchmark_rows import figures, make_row

NAMES = ("drawdown_share", "spread_share", "lead_over_greedy", "untrained_score", "untrained_score_sampled")


@pytest.fixture
def optimum(monkeypatch):
    """Returns a function that makes up the optimum, so that nothing is solved."""
    return lambda value: monkeypatch.setattr("benchmarks.measures.figures.mean_optimum", lambda *of: value)


def test_shares_are_in_per_cent_of_the_optimum(optimum):
    optimum(4.0)
    returns = [2.0] * 100 + [0.0] * 100 + [1.0, 3.0] * 100
    untrained = {"agent (greedy)": figures(mean_return=-2.0), "agent (sampled)": figures(mean_return=-8.0)}
    values = figures_of(make_row(returns=returns, untrained=untrained))
    expected = dict(zip(NAMES, (50.0, 25.126, -30.0, -50.0, -200.0), strict=True))  # spread: √(100 / 99) / 4
    assert {name: values[name] for name in NAMES} == pytest.approx(expected, abs=1e-3)
    assert values["score_of_greedy"] == pytest.approx(60.0)


def test_nothing_is_said_where_rows_have_no_figures_or_there_is_nothing_to_earn(optimum):
    optimum(4.0)
    values = figures_of(make_row())
    assert values["untrained_score"] is values["untrained_score_sampled"] is values["score_of_lookahead"] is None
    optimum(0.0)
    assert all(figures_of(make_row())[name] is None for name in NAMES)
