import dataclasses

import numpy as np
import pytest
from gymnasium.error import InvalidAction

from token_env import REFERENCES, SIZES, SettingError, Task, evaluate
from token_env.env import TokenEnv
from token_env.episodes.evaluate import Evaluation, adequacy_by_rarity, first_problem_ids
from token_env.episodes.references import find_reference

TINY = Task(split="test", **SIZES["tiny"])


def nearest_seen(observations):
    """Say the token whose meaning is nearest to the one that is due, as the observation shows it."""
    from token_env.languages.synthetic import synthetic

    return synthetic(64).nearest(observations[:, 16:32])


def test_any_callable_from_observations_to_actions_is_played():
    result = evaluate(nearest_seen, range(50), task=TINY)
    verbatim = evaluate(REFERENCES["verbatim"], range(50), task=TINY)
    np.testing.assert_array_equal(result.actions, verbatim.actions)
    np.testing.assert_array_equal(result.returns, verbatim.returns)


def test_an_evaluation_equals_playing_the_environment_problem_by_problem():
    ids = [4, 0, 99, 4]
    result = evaluate(nearest_seen, ids, task=TINY)
    assert result.problem_ids.tolist() == ids
    env = TokenEnv(split="test", **SIZES["tiny"])
    for place, problem_id in enumerate(ids):
        observation, _ = env.reset(options={"problem_id": problem_id})
        total, terminated, said = 0.0, False, []
        while not terminated:
            said.append(int(nearest_seen(observation[None])[0]))
            observation, reward, terminated, _, _ = env.step(said[-1])
            total += reward
        assert result.returns[place] == pytest.approx(total)
        assert result.actions[place].tolist() == said


def test_returns_are_those_of_the_components_whatever_the_reward():
    dense = evaluate(nearest_seen, range(20), task=TINY)
    exact = evaluate(nearest_seen, range(20), task=Task(split="test", reward="exact", **SIZES["tiny"]))
    np.testing.assert_array_equal(dense.returns, exact.returns)


def test_more_problems_than_one_batch_holds_are_played():
    whole = evaluate(nearest_seen, range(300), task=TINY)
    np.testing.assert_array_equal(whole.returns[290:], evaluate(nearest_seen, range(290, 300), task=TINY).returns)


def test_variety_of_the_tokens_said():
    result = Evaluation(np.arange(2), np.zeros(2), np.zeros(2), np.array([[1, 1], [2, 3]]), np.ones(2))
    assert result.distinct_tokens == 3
    assert result.token_perplexity == pytest.approx(np.exp(1.5 * np.log(2)))  # entropy of (1/2, 1/4, 1/4)


# What a prototype measured, with its spread over languages or problems.
@pytest.mark.parametrize(
    ("size", "policy", "expected", "tolerance"),
    [
        ("fast", "random", -93.5, 3.0),
        ("stable", "random", -193.0, 6.0),
        ("fast", "verbatim", -9.0, 2.0),
        ("stable", "verbatim", -32.0, 6.0),
        ("fast", "greedy", 2.41, 0.15),
        ("stable", "greedy", 3.4, 0.2),
        ("fast", "fluent", 0.15 * 2.87, 0.1),
        ("stable", "fluent", 0.14 * 4.3, 0.15),
    ],
)
def test_reference_policies_earn_what_the_task_promises(size, policy, expected, tolerance):
    result = evaluate(REFERENCES[policy], range(200), task=Task(split="test", **SIZES[size]))
    assert result.mean_return == pytest.approx(expected, abs=tolerance)


def test_greedy_takes_the_best_immediate_reward():
    greedy = evaluate(REFERENCES["greedy"], range(20), task=Task(split="test", vocab_size=64, max_steps=1))
    returns = [
        evaluate(
            lambda seen, a=a: np.full(len(seen), a), range(20), task=Task(split="test", vocab_size=64, max_steps=1)
        ).returns
        for a in range(64)
    ]
    np.testing.assert_allclose(greedy.returns, np.max(returns, axis=0))


def test_fluent_never_exceeds_the_budget():
    assert evaluate(REFERENCES["fluent"], range(50), task=TINY).fluency_penalty.max() == 0


def test_random_repeats_with_its_seed():
    first, again, other = (evaluate(REFERENCES["random"], range(9), task=TINY, seed=s).actions for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("actions", [np.zeros(1), np.full(5, 64), np.zeros((5, 1), dtype=int)])
def test_a_policy_that_gives_no_token_a_row_is_refused(actions):
    with pytest.raises(InvalidAction):
        evaluate(lambda seen: actions, range(5), task=TINY)


def test_wrong_problems_and_names_are_refused():
    for ids in ([], [-1], [1.5], [2**70]):
        with pytest.raises(SettingError, match="problem id"):
            evaluate(nearest_seen, ids, task=TINY)
    with pytest.raises(SettingError, match="at least 1"):
        first_problem_ids(0)
    with pytest.raises(SettingError, match="Did you mean 'greedy'"):
        find_reference("greed")


def test_saying_the_words_themselves_recovers_all_adequacy_in_every_quarter():
    played = evaluate(REFERENCES["verbatim"], range(50), task=TINY)
    np.testing.assert_allclose(adequacy_by_rarity(played, TINY), 1.0)


def test_adequacy_recovered_is_told_apart_by_how_rare_the_words_are():
    from token_env.rules.dynamics import Dynamics

    dynamics = Dynamics(TINY)
    problems = dynamics.problems.draw(np.arange(50))
    median = np.quantile(problems.message, 0.5)
    said = np.where(problems.message <= median, problems.message, 63 - problems.message)  # the common half is right
    offered = dynamics.task.adequacy_scale * problems.weights  # times the cosine
    cosine = [
        np.maximum(np.vecdot(dynamics.language.meaning[words], problems.meanings), 0)
        for words in (said, problems.message)
    ]
    rarest = problems.message > np.quantile(problems.message, 0.75)
    expected = (offered * cosine[0])[rarest].sum() / (offered * cosine[1])[rarest].sum()
    shares = adequacy_by_rarity(Evaluation(np.arange(50), np.zeros(50), np.zeros(50), said, np.ones(50)), TINY)
    np.testing.assert_allclose(shares[:2], 1.0)
    assert shares[3] == pytest.approx(expected, abs=1e-6)
    assert shares[3] < 0.9


def test_a_quarter_without_words_has_no_share():
    task = Task(vocab_size=64, max_steps=1, split="test")
    played = evaluate(REFERENCES["verbatim"], [0], task=task)
    assert np.isnan(adequacy_by_rarity(played, task)).sum() == 3


def test_a_score_needs_something_that_can_be_earned():
    impossible = Task(split="test", surprisal_budget=0.0, optimum=True, vocab_size=64, max_steps=8)
    played = evaluate(REFERENCES["random"], range(20), task=impossible)
    assert played.optimal_returns.mean() < 0
    assert np.isnan(played.score)
    assert np.isnan(
        evaluate(REFERENCES["random"], range(20), task=dataclasses.replace(impossible, optimum=False)).score
    )
