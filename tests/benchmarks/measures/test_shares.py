import pytest

from benchmarks.measures.metrics import figures_of
from benchmarks.measures.shares import max_return_share, mean_last_20_share, rarest_on_fast_messages, validation_score
from tests.support.benchmarks.rows import figures, make_diverged_row, make_row

NAMES = ("drawdown_share", "spread_share", "lead_over_greedy", "untrained_score", "untrained_score_sampled")


@pytest.fixture
def optimum(monkeypatch):
    """Returns a function that makes up the optimum, by split if given, so that nothing is solved."""

    def make_up(value, **by_split):
        for module in ("figures", "shares"):
            name = f"benchmarks.measures.{module}.mean_optimum"
            monkeypatch.setattr(name, lambda task, split, problems: by_split.get(split, value))

    return make_up


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


def test_the_best_episode_and_the_end_of_a_training_are_in_per_cent_of_the_optimum(optimum):
    optimum(4.0)
    row = make_row(returns=[0.0] * 379 + [5.0] + [1.0, 3.0] * 10)
    assert (max_return_share(row), mean_last_20_share(row)) == (125.0, 50.0)
    diverged = make_diverged_row(episodes=3)  # its best episode is known, its end is not
    assert (max_return_share(diverged), mean_last_20_share(diverged)) == (75.0, None)
    optimum(0.0)
    assert max_return_share(row) is mean_last_20_share(row) is None


def agent(**changes):
    return {"agent (greedy)": figures(**changes), "agent (sampled)": figures()}


def test_the_validation_score_is_in_per_cent_of_the_optimum_of_validation_problems(optimum):
    optimum(2.0, validation=5.0)
    row = make_row(on_validation=agent(mean_return=4.0))
    assert validation_score(row) == 80.0
    assert row.settings.evaluation.split == "test"
    assert validation_score(make_row()) is None  # a row of an older version
    assert validation_score(make_diverged_row()) is None


def test_the_validation_score_of_a_row_that_is_evaluated_on_validation_problems_is_its_score(optimum):
    optimum(2.0, validation=5.0)
    row = make_row("learning", "fast/tied")
    assert row.settings.evaluation.split == "validation"
    assert validation_score(row) == pytest.approx(24.0)  # 1.2 on the held-out problems of the row


def rarest(share):
    return figures(adequacy_by_rarity=[0.9, 0.8, 0.7, share])


@pytest.mark.parametrize("case", ["intermediate/preset", "stable/preset"])
def test_larger_sizes_have_the_rarest_words_of_the_messages_of_fast(case):
    held_out = make_row("fast-vs-stable", case).held_out | {"agent (greedy)": rarest(0.9)}
    row = make_row("fast-vs-stable", case, held_out=held_out, on_fast_messages=rarest(0.25))
    assert rarest_on_fast_messages(row) == 25.0
    assert rarest_on_fast_messages(make_row("fast-vs-stable", case)) is None  # a row of an older version
    assert rarest_on_fast_messages(make_diverged_row("fast-vs-stable", case)) is None


@pytest.mark.parametrize("variant", ["preset", "as-reported"])
def test_fast_has_the_rarest_words_of_its_own_messages(variant):
    row = make_row("fast-vs-stable", f"fast/{variant}")
    held_out = row.held_out | {"agent (greedy)": rarest(0.5)}
    assert rarest_on_fast_messages(make_row("fast-vs-stable", f"fast/{variant}", held_out=held_out)) == 50.0
    assert rarest_on_fast_messages(row) is None  # the rarest quarter of its messages has no words
