import numpy as np
import pytest

from agents.evaluation.agent import Player
from agents.evaluation.comparison import Comparison, compare, verdict
from agents.evaluation.statistics import Interval
from tests.support.models import played, untrained
from token_env import SettingError, Task, evaluate


def test_figures_equal_hand_computed_numbers():
    comparison = Comparison(Task(), played([3.0, 2.0, 1.0, 5.0]), played([1.0, 2.0, 2.0, 1.0]))
    assert comparison.difference.estimate == 1.25
    assert comparison.win_rate == 2.5 / 4
    assert comparison.probability_of_improvement == (10 + 4 / 2) / 16  # of the 16 pairs A wins 10 and ties 4


@pytest.mark.parametrize(
    ("interval", "words"),
    [((1.0, 0.5, 1.5), "A is better"), ((-1.0, -2.0, -0.1), "B is better"), ((0.1, -0.1, 0.3), "no difference shown")],
)
def test_the_verdict_needs_an_interval_that_excludes_zero(interval, words):
    assert verdict(Interval(*interval)) == words


def test_an_agent_is_no_better_than_itself():
    comparison = compare(untrained(), untrained(), "test", range(30))
    assert comparison.difference == (0.0, 0.0, 0.0)
    assert (comparison.win_rate, comparison.probability_of_improvement) == (0.5, 0.5)
    assert verdict(comparison.difference) == "no difference shown"


def test_swapping_the_agents_swaps_the_figures():
    a, b = untrained(0), untrained(1)
    there, back = compare(a, b, "test", range(30)), compare(b, a, "test", range(30))
    assert there.difference.estimate == pytest.approx(-back.difference.estimate) != 0
    assert there.win_rate == pytest.approx(1 - back.win_rate)


def test_across_vocabularies_both_play_the_smaller_ones_environment():
    small, large = untrained(0), untrained(1, vocab_size=200, max_steps=12)
    for comparison in (compare(small, large, "test", range(30)), compare(large, small, "test", range(30))):
        assert (comparison.task.vocab_size, comparison.task.max_steps, comparison.task.split) == (64, 8, "test")
        assert max(comparison.a.actions.max(), comparison.b.actions.max()) < 64
    task = Task(vocab_size=64, max_steps=8, split="test")
    np.testing.assert_array_equal(comparison.b.returns, evaluate(small.greedy, range(30), task=task).returns)


def test_agents_that_read_tokens_are_compared_across_vocabularies_but_not_lengths():
    small, large, longer = (
        untrained(observation="tokens", **env) for env in ({}, {"vocab_size": 200}, {"max_steps": 12})
    )
    comparison = compare(small, large, "test", range(30))
    task = Task(vocab_size=64, max_steps=8, split="test", observation="tokens")
    np.testing.assert_array_equal(comparison.a.returns, evaluate(small.greedy, range(30), task=task).returns)
    with pytest.raises(SettingError, match=r"env\.max_steps is 8 and 12"):
        compare(small, longer, "test", range(3))


def test_the_larger_ones_distribution_is_cut_to_the_shared_ranks():
    large = untrained(1, vocab_size=200)
    observations = np.random.default_rng(0).normal(size=(40, 51)).astype(np.float32)
    probabilities = np.exp(large.logits(observations))
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    shared = probabilities[:, :64] / probabilities[:, :64].sum(axis=1, keepdims=True)
    for ranks, expected in ((64, shared.argmax(axis=1)), (200, large.predict(observations)[0])):
        said = Player(large, ranks=ranks).act(observations, np.ones(40, dtype=bool), None)
        np.testing.assert_array_equal(said, expected)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"language_seed": 1}, "different languages"),
        ({"lookahead": 2}, "env.lookahead is 1 and 2"),
        ({"reward": "terminal"}, "env.reward is 'dense' and 'terminal'"),
        ({"observation": "tokens"}, "env.observation is 'features' and 'tokens'"),
    ],
)
def test_agents_that_cannot_be_compared_are_refused(env, message):
    with pytest.raises(SettingError, match=message):
        compare(untrained(), untrained(**env), "test", range(3))


def test_agents_of_rewards_that_agree_on_observations_can_be_compared():
    agents = untrained(), untrained(reward="exact"), untrained(reward="rewards:nobody_imports")
    assert {compare(agents[0], other, "test", range(3)).win_rate for other in agents} == {0.5}
