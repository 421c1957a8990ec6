import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from tests.support.environments import OPTIONS, assert_same
from token_env import SettingError, Snapshot
from token_env.env import TokenEnv

SMALL = {"vocab_size": 64, "max_steps": 4}


def going_on(env):
    """All that an environment returns until the end of the episode after next, with new problems at random."""
    seen = []
    for episode in range(3):
        terminated = bool(env.state.row.tokens) and len(env.state.row.tokens) == env.task.max_steps
        while not terminated:
            *step, info = env.step(int(env.np_random.integers(64)))
            terminated = step[2]
            seen.append((*step, info, env.action_masks()))
        seen.append(env.reset(seed=None if episode else 5))
    return (*seen, (env.np_random.random(), env.np_random_seed))


@pytest.mark.parametrize("keywords", [{}, *OPTIONS, {"num_problems": 3}])
@pytest.mark.parametrize("steps", [0, 2, 4])
def test_a_restored_environment_goes_on_as_before(keywords, steps):
    env = TokenEnv(**SMALL, **keywords)
    env.reset(seed=1)
    for token in range(steps):
        env.step(token)
    env.np_random.integers(100, dtype=np.int32)  # leaves half a word in the generator
    state, twin = env.state, copy.deepcopy(env)
    expected = going_on(twin)
    for _ in range(2):
        assert_same(going_on(env), expected)
        env.restore(state)
        assert env.state == state


def test_the_state_goes_to_another_environment_of_the_task_and_through_a_pickle():
    env, other = TokenEnv(**SMALL), TokenEnv(**SMALL)
    env.reset(seed=1)
    env.step(3)
    other.restore(pickle.loads(pickle.dumps(env.state)))
    assert_same(going_on(other), going_on(env))


def test_the_picture_of_a_restored_environment_is_the_one_before():
    env = TokenEnv(**SMALL, render_mode="ansi")
    env.reset(options={"problem_id": 8})
    env.step(3)
    state, picture = env.state, env.render()
    env.step(5)
    env.reset()
    env.step(9)
    env.restore(state)
    assert env.render() == picture


def test_a_state_is_numbers_that_no_step_changes():
    env = TokenEnv(**SMALL)
    env.reset(options={"problem_id": 8})
    env.step(3)
    state = env.state
    kept = repr(state)
    env.step(5)
    env.reset()
    assert repr(state) == kept
    assert (state.row.problem_id, state.row.next_id, state.row.tokens) == (8, 9, (3,))
    assert len({state, env.state}) == 2  # hashable
    assert state.row.optimal_return is None
    numbers = (*state.row[:3], *state.row.tokens, *state.row[4:6], *state.generator, state.seed)
    assert {type(number) for number in numbers} == {int, float}


def test_changed_difficulty_that_is_still_to_come_stays():
    env = TokenEnv(**SMALL)
    env.reset(seed=0)
    before = env.state
    env.set_difficulty(0.1, 30)
    env.restore(before)
    env.reset()
    assert env.task.noise == 0.1
    with pytest.raises(SettingError, match="another task"):
        env.restore(before)


@pytest.mark.parametrize(
    "changes", [{"vocab_size": 65}, {"max_steps": 5}, {"split": "test"}, {"language_seed": 1}, {"reward": "exact"}]
)
def test_a_state_of_another_task_is_refused_and_changes_nothing(changes):
    env, other = TokenEnv(**SMALL), TokenEnv(**(SMALL | changes))
    env.reset(seed=0)
    other.reset(seed=0)
    other.step(1)
    before = other.state
    with pytest.raises(SettingError, match=r"another task: .*; restore it in an environment with the same keywords"):
        other.restore(env.state)
    assert other.state == before


def test_what_is_no_state_is_refused():
    env = TokenEnv(**SMALL)
    with pytest.raises(ResetNeeded, match="reset"):
        _ = env.state
    env.reset()
    for wrong in (None, env.state.row, tuple(env.state)):
        with pytest.raises(SettingError, match=r"a state is what env\.unwrapped\.state returned"):
            env.restore(wrong)


def test_a_made_environment_has_it_behind_its_wrappers():
    env = gymnasium.make("TokenTask-Tiny-v0")
    env.reset(seed=0)
    state = env.unwrapped.state
    assert isinstance(state, Snapshot)
    first = env.step(3)
    env.unwrapped.restore(state)
    assert_same(env.step(3), first)
