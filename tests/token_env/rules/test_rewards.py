import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_env import REWARDS, Dynamics, Problems, SettingError, Task
from token_env.rules.rewards import find_reward


def hand_made_problem():
    """Message (1, 2) after token 0; the meanings lie between two axes."""
    meanings = np.array([[[0.6, 0.8], [-1.0, 0.0]]], dtype=np.float32)
    return Problems(np.array([0]), np.array([0]), np.array([[1, 2]]), meanings, np.array([[2.0, 3.0]]))


def play(language, reward, actions, **keywords):
    """Rewards and final state of these actions on the hand-made problem."""
    dynamics = Dynamics(Task(vocab_size=3, max_steps=2, language=language, reward=reward, **keywords))
    problems = hand_made_problem()
    state, paid = dynamics.initial(problems), []
    for action in actions:
        transition = dynamics.transition(problems, state, np.array([action]))
        paid.append(float(dynamics.rewards(transition)[0]))
        state = transition.next_state
    return paid, state


def test_dense_rewards_equal_hand_computed_numbers(small_language):
    # After 0, token 1: cosine with (0.6, 0.8) is 0.8, pays weight 2. log Z_0 = log(0.5 e + 0.3 + 0.2/e).
    # After 1, token 2: cosine 1, pays weight 3; surprisal log Z_1 - log 0.2 = 6.42 nats, above the budget of 5.
    z1 = 0.5 + 0.3 * math.exp(6) + 0.2
    penalty = 0.7 * (math.log(z1) - math.log(0.2) - 5.0)
    paid, state = play(small_language, "dense", [1, 2])
    assert paid == pytest.approx([0.12 * 2 * 0.8, 0.12 * 3 * 1.0 - penalty], abs=1e-6)
    assert state.adequacy == pytest.approx([0.12 * 2 * 0.8 + 0.12 * 3], abs=1e-6)
    assert state.fluency_penalty == pytest.approx([penalty])


def test_a_meaning_opposite_to_the_one_due_earns_nothing_and_costs_nothing(small_language):
    paid, _ = play(small_language, "dense", [2, 0], surprisal_budget=100.0)
    assert paid == [0.0, 0.0]  # cosines -0.6 and -1


def test_scales_and_budget_are_what_their_names_say(small_language):
    paid, _ = play(small_language, "dense", [1, 2], adequacy_scale=1.0, fluency_scale=0.0)
    assert paid == pytest.approx([2 * 0.8, 3.0], abs=1e-6)


def test_terminal_pays_the_sum_at_the_last_step(small_language):
    dense, _ = play(small_language, "dense", [1, 2])
    assert play(small_language, "terminal", [1, 2])[0] == pytest.approx([0.0, sum(dense)])


def test_exact_pays_for_the_very_word(small_language):
    assert play(small_language, "exact", [1, 0])[0] == [1.0, 0.0]


def test_potential_equals_hand_computed_numbers(small_language):
    dense, _ = play(small_language, "dense", [1, 2])
    paid, _ = play(small_language, "potential", [1, 2], discount=0.5)
    accrued = 0.12 * 2 * 0.8
    assert paid == pytest.approx([0.5 * accrued, sum(dense) - accrued], abs=1e-6)


@given(st.lists(st.integers(0, 63), min_size=8, max_size=8), st.floats(0, 1), st.integers(0, 10_000))
def test_potential_shaping_leaves_every_discounted_return_and_so_the_optimum_unchanged(actions, discount, problem_id):
    totals = {}
    for reward in ("terminal", "potential"):
        dynamics = Dynamics(Task(vocab_size=64, max_steps=8, reward=reward, discount=discount))
        problems = dynamics.problems.draw(np.array([problem_id]))
        state, total = dynamics.initial(problems), 0.0
        for t, action in enumerate(actions):
            transition = dynamics.transition(problems, state, np.array([action]))
            total += discount**t * dynamics.rewards(transition)[0]
            state = transition.next_state
        totals[reward] = total
    assert totals["potential"] == pytest.approx(totals["terminal"], abs=1e-9)


def test_a_users_own_reward_function_is_used(small_language):
    paid, state = play(small_language, lambda t: 10.0 * t.adequacy + t.done, [1, 2])
    assert paid == pytest.approx([10 * 0.192, 10 * 0.36 + 1], abs=1e-5)
    assert state.fluency_penalty > 0  # the components are the task's own


def test_a_reward_function_that_returns_no_number_a_row_is_refused(small_language):
    with pytest.raises(SettingError, match=r"returned shape \(\) for 1 rows"):
        play(small_language, lambda t: 1.0, [1])


@pytest.mark.parametrize("wrong", ["dens", 3, None])
def test_unknown_rewards_are_refused(wrong):
    with pytest.raises(SettingError, match="dense"):
        find_reward(wrong)


def test_every_reward_of_the_table_pays_one_number_a_row(small_language):
    for name in REWARDS:
        assert len(play(small_language, name, [0, 0])[0]) == 2


def in_place(transition):
    rewards = transition.adequacy
    rewards *= 100.0
    return rewards


def in_place_of_a_state(transition):
    transition.next_state.step[:] = 0
    return transition.adequacy


@pytest.mark.parametrize("reward", [in_place, in_place_of_a_state])
def test_a_function_of_the_users_cannot_change_what_the_step_reports(small_language, reward):
    with pytest.raises(ValueError, match="read-only"):
        play(small_language, reward, [1])


def test_a_function_of_the_users_may_return_an_array_of_the_step(small_language):
    assert play(small_language, lambda t: t.adequacy, [1])[0] == pytest.approx([0.12 * 2 * 0.8])
