import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_env import REWARDS, Dynamics, State, Task
from token_env.rules import rows
from token_env.rules.task import OBSERVATIONS


@st.composite
def games(draw):
    """Dynamics, problems of a batch, and random actions [L, N]."""
    task = Task(
        vocab_size=draw(st.integers(8, 70)),
        max_steps=draw(st.integers(2, 9)),
        noise=draw(st.sampled_from([0.0, 0.3, 1.0])),
        lookahead=draw(st.integers(0, 4)),
        reward=draw(st.sampled_from(sorted(REWARDS))),
        surprisal_budget=draw(st.sampled_from([0.0, 2.0, 5.0])),
        discount=draw(st.sampled_from([0.5, 1.0])),
    )
    if task.reward in ("dense", "exact"):
        task = dataclasses.replace(task, observation=draw(st.sampled_from(OBSERVATIONS)))
    dynamics = Dynamics(task)
    ids = np.array(draw(st.lists(st.integers(0, 2**40), min_size=1, max_size=6)))
    seed = draw(st.integers(0, 2**32))
    actions = np.random.default_rng(seed).integers(task.vocab_size, size=(task.max_steps, len(ids)))
    return dynamics, dynamics.problems.draw(ids), actions


def trajectory(dynamics, problems, actions):
    """Everything the rules say about these actions, one list of arrays [N, …] a step."""
    state, steps = dynamics.initial(problems), []
    for action in actions:
        observation, legal = dynamics.observe(problems, state), dynamics.legal(state)
        transition = dynamics.transition(problems, state, action)
        steps.append((observation, legal, dynamics.rewards(transition), transition.done, *transition.next_state))
        state = transition.next_state
    return [*steps, (dynamics.observe(problems, state),)]


@given(games())
def test_a_batch_of_n_equals_n_batches_of_one(game):
    dynamics, problems, actions = game
    whole = trajectory(dynamics, problems, actions)
    for row in range(len(problems.ids)):
        one = slice(row, row + 1)
        alone = trajectory(dynamics, rows.take(problems, one), actions[:, one])
        for together, single in zip(whole, alone, strict=True):
            for field, expected in zip(together, single, strict=True):
                np.testing.assert_array_equal(field[one], expected)


@given(games(), st.randoms(use_true_random=False))
def test_permuting_rows_permutes_results(game, random):
    dynamics, problems, actions = game
    order = list(range(len(problems.ids)))
    random.shuffle(order)
    straight = trajectory(dynamics, problems, actions)
    shuffled = trajectory(dynamics, rows.take(problems, np.array(order)), actions[:, order])
    for before, after in zip(straight, shuffled, strict=True):
        for field, permuted in zip(before, after, strict=True):
            np.testing.assert_array_equal(field[order], permuted)


@given(games())
def test_no_argument_is_changed(game):
    dynamics, problems, actions = game
    before = [field.copy() for field in problems]
    state = dynamics.initial(problems)
    kept = [field.copy() for field in state]
    dynamics.observe(problems, state)
    dynamics.legal(state)
    dynamics.rewards(dynamics.transition(problems, state, actions[0]))
    for field, expected in zip((*problems, *state), (*before, *kept), strict=True):
        np.testing.assert_array_equal(field, expected)


@given(games())
def test_observations_stay_within_their_finite_bounds(game):
    dynamics, problems, actions = game
    low, high = dynamics.observation_bounds
    assert np.isfinite([low, high]).all()
    assert (low < high).all()
    for step in trajectory(dynamics, problems, actions):
        assert step[0].dtype == (np.float32 if dynamics.task.observation == "features" else np.int64)
        assert (step[0] >= low).all()
        assert (step[0] <= high).all()


def test_features_hold_what_their_description_says():
    dynamics = Dynamics(Task(vocab_size=64, max_steps=4, lookahead=1))
    language, problems = dynamics.language, dynamics.problems.draw(np.array([3, 8]))  # the last words have a rarity
    state = State(np.array([5, 9]), np.array([1, 3]), np.zeros(2), np.zeros(2))
    seen = dynamics.observe(problems, state)
    assert seen.shape == (2, 16 + 32 + 2 + 1)
    longest = np.linalg.norm(language.context, axis=1).max()
    np.testing.assert_allclose(seen[:, :16], language.context[[5, 9]] / longest, atol=1e-6)
    np.testing.assert_allclose(seen[0, 16:48].reshape(2, 16), problems.meanings[0, 1:3], atol=1e-6)
    np.testing.assert_allclose(seen[1, 16:32], problems.meanings[1, 3], atol=1e-6)
    assert not seen[1, 32:48].any()  # past the end
    np.testing.assert_allclose(seen[0, 48:50], language.rarity[problems.message[0, 1:3]], atol=1e-6)
    assert seen[1, 49] == 0
    assert seen[:, 50].tolist() == [0.25, 0.75]


def test_tokens_hold_what_their_description_says():
    dynamics = Dynamics(Task(vocab_size=64, max_steps=4, lookahead=1, noise=0.0, observation="tokens"))
    problems = dynamics.problems.draw(np.array([3, 4, 5]))
    state = State(np.array([5, 9, 2]), np.array([1, 3, 4]), np.zeros(3), np.zeros(3))
    message = problems.message
    expected = [[5, message[0, 1], message[0, 2], 1], [9, message[1, 3], 0, 3], [2, 0, 0, 4]]
    seen = dynamics.observe(problems, state)
    assert seen.dtype == np.int64
    assert seen.tolist() == expected
    assert dynamics.observation_bounds[1].tolist() == [63, 63, 63, 4]


def test_tokens_that_are_seen_are_the_nearest_to_the_jittered_meanings():
    dynamics = Dynamics(Task(vocab_size=64, max_steps=4, lookahead=0, noise=2.0, observation="tokens"))
    problems = dynamics.problems.draw(np.arange(50))
    seen = dynamics.observe(problems, dynamics.initial(problems))[:, 1]
    cosines = problems.meanings[:, 0] @ dynamics.language.meaning.T
    assert (seen == cosines.argmax(axis=1)).all()
    assert (seen != problems.message[:, 0]).any()


def test_the_rarest_words_of_5000_are_told_apart():
    dynamics = Dynamics(Task(vocab_size=5000))
    problems = dynamics.problems.draw(np.arange(100))
    rarity = dynamics.language.rarity[problems.message[:, :2]]
    assert rarity.max() > 0.6
    seen = dynamics.observe(problems, dynamics.initial(problems))
    np.testing.assert_allclose(seen[:, 48:50], rarity, atol=1e-6)


def test_the_rarity_that_is_seen_belongs_to_the_language_of_the_message():
    small = Dynamics(Task(vocab_size=64, max_steps=4))
    large = Dynamics(Task(vocab_size=500, message_vocab=64, max_steps=4))
    states = [(dynamics, dynamics.problems.draw(np.arange(9))) for dynamics in (small, large)]
    seen = [dynamics.observe(problems, dynamics.initial(problems)) for dynamics, problems in states]
    np.testing.assert_allclose(seen[0][:, 16:], seen[1][:, 16:], atol=1e-6)


@pytest.mark.parametrize(("reward", "extra"), [("dense", 0), ("exact", 0), ("terminal", 1), ("potential", 2)])
def test_rewards_paid_late_show_what_has_been_accrued(reward, extra):
    dynamics = Dynamics(Task(vocab_size=64, max_steps=4, reward=reward))
    problems = dynamics.problems.draw(np.array([3]))
    state = State(np.array([5]), np.array([1]), np.array([0.3]), np.array([0.1]))
    seen = dynamics.observe(problems, state)[0, 51:]
    assert seen.tolist() == pytest.approx([(0.3 - 0.1) / 0.48, 0.3 / 0.48][:extra])


@given(games(), st.sampled_from([None, 0.0, 3.0, 8.0]))
def test_masks_allow_the_tokens_within_the_budget_and_always_the_least_surprising(game, budget):
    dynamics, problems, _ = game
    dynamics = Dynamics(dataclasses.replace(dynamics.task, mask_budget=budget))
    state = dynamics.initial(problems)
    allowed, surprisal = dynamics.legal(state), dynamics.language.surprisals(state.previous)
    limit = dynamics.task.surprisal_budget if budget is None else budget
    clear = np.abs(surprisal - limit) > 1e-4
    expected = surprisal <= limit
    expected[np.arange(len(expected)), surprisal.argmin(axis=1)] = True
    assert (allowed == expected)[clear].all()
    assert allowed.any(axis=1).all()


def test_dense_rewards_of_all_tokens_equal_the_reward_of_each():
    dynamics = Dynamics(Task(vocab_size=64, max_steps=8))
    problems = dynamics.problems.draw(np.arange(3))
    state = dynamics.initial(problems)
    table = dynamics.dense_rewards(problems, state)
    for token in range(64):
        paid = dynamics.rewards(dynamics.transition(problems, state, np.full(3, token)))
        np.testing.assert_allclose(table[:, token], paid, atol=1e-6)
