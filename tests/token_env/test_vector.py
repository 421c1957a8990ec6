import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from tests.support.environments import OPTIONS, assert_same
from token_env import REWARDS, SettingError
from token_env.env import TokenEnv
from token_env.vector import TokenVectorEnv

ROWS = 5
SMALL = {"vocab_size": 64, "max_steps": 4}


def pair(mode, **keywords):
    """Our batch and Gymnasium's loop over single environments."""
    ours = TokenVectorEnv(ROWS, autoreset_mode=mode, **SMALL | keywords)
    theirs = SyncVectorEnv([lambda: TokenEnv(**SMALL | keywords)] * ROWS, autoreset_mode=mode)
    return ours, theirs


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_batch_agrees_with_single_environments_step_for_step(mode, reward):
    ours, theirs = pair(mode, reward=reward, discount=0.9, num_problems=7)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    generator = np.random.default_rng(0)
    for _ in range(23):
        actions = generator.integers(64, size=ROWS)
        assert_same(ours.step(actions), theirs.step(actions))
    assert_same(ours.reset(), theirs.reset())


@pytest.mark.parametrize("keywords", OPTIONS)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_batch_agrees_with_single_environments_under_every_option(mode, keywords):
    ours, theirs = pair(mode, **keywords)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    generator = np.random.default_rng(0)
    for t in range(12):
        if t == 2:  # from here on the rows are out of step
            mask = np.arange(ROWS) == 1
            assert_same(*(env.reset(options={"reset_mask": mask.copy()})[0] for env in (ours, theirs)))
        actions = generator.integers(64, size=ROWS)
        assert_same(ours.step(actions), theirs.step(actions))


def test_rows_that_end_at_different_times_agree_when_autoreset_is_disabled():
    ours, theirs = pair(AutoresetMode.DISABLED)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    generator = np.random.default_rng(0)
    ended = np.zeros(ROWS, dtype=bool)
    for t in range(20):
        mask = ended.copy()
        if t in (1, 2):
            mask[t] = True  # from here on the rows are out of step
        if mask.any():
            ours_back, theirs_back = (env.reset(options={"reset_mask": mask.copy()}) for env in (ours, theirs))
            np.testing.assert_array_equal(ours_back[0], theirs_back[0])
        actions = generator.integers(64, size=ROWS)
        results = [env.step(actions) for env in (ours, theirs)]
        assert_same(*results)
        ended = results[0][2]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_rows_out_of_step_agree_under_every_autoreset_mode(mode):
    ours, theirs = pair(mode)
    ours.reset(seed=3)
    theirs.reset(seed=3)
    generator = np.random.default_rng(0)
    for t in range(20):
        if t in (1, 3):
            mask = np.arange(ROWS) == t
            np.testing.assert_array_equal(
                ours.reset(options={"reset_mask": mask.copy()})[0], theirs.reset(options={"reset_mask": mask})[0]
            )
        actions = generator.integers(64, size=ROWS)
        assert_same(ours.step(actions), theirs.step(actions))


def test_next_step_is_the_default_and_names_are_accepted():
    assert TokenVectorEnv(2, **SMALL).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env = gymnasium.make_vec("TokenTask-v0", num_envs=2, autoreset_mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert TokenVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_row_plays_the_same_whatever_the_number_of_rows(count):
    few, many = TokenVectorEnv(count, **SMALL), TokenVectorEnv(12, **SMALL)
    assert_same(few.reset(seed=4)[0], many.reset(seed=4)[0][:count])
    for t in range(9):
        for mine, other in zip(few.step(np.full(count, t))[:3], many.step(np.full(12, t))[:3], strict=True):
            assert_same(mine, other[:count])


def test_problem_ids_can_be_chosen_for_each_row():
    env = TokenVectorEnv(3, **SMALL)
    env.reset(options={"problem_id": np.array([5, 9, 2])})
    assert env.problems.ids.tolist() == [5, 9, 2]
    env.reset(options={"problem_id": np.array([1, 1, 7]), "reset_mask": np.array([False, False, True])})
    assert env.problems.ids.tolist() == [5, 9, 7]
    env.reset(options={"problem_id": 4})
    assert env.problems.ids.tolist() == [4, 4, 4]
    env.reset()
    assert env.problems.ids.tolist() == [5, 5, 5]


def test_one_seed_a_row_can_be_given():
    env = TokenVectorEnv(2, **SMALL)
    assert_same(env.reset(seed=[8, 3])[0][1], TokenEnv(**SMALL).reset(seed=3)[0])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_rows_of_a_group_play_the_problems_of_its_first_row(mode):
    grouped = TokenVectorEnv(6, autoreset_mode=mode, group_size=3, **SMALL)
    single = TokenVectorEnv(6, autoreset_mode=mode, **SMALL)
    for env in (grouped, single):
        env.reset(seed=7)
    for _ in range(12):
        np.testing.assert_array_equal(grouped.problems.ids, single.problems.ids[[0, 0, 0, 3, 3, 3]])
        assert_same(grouped.problems.message, single.problems.message[[0, 0, 0, 3, 3, 3]])
        for env in (grouped, single):
            done = env.step(np.arange(6))[2]
            if mode is AutoresetMode.DISABLED and done.all():
                env.reset()
    env = TokenVectorEnv(4, group_size=2, **SMALL)  # without a seed
    env.reset()
    assert env.problems.ids[0] == env.problems.ids[1] != env.problems.ids[2] == env.problems.ids[3]


def test_arrays_returned_are_never_changed_later():
    env = TokenVectorEnv(3, optimum=True, **SMALL)
    kept = [env.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for t in range(10):
        observation, reward, done, truncated, infos = env.step(np.full(3, t))
        for array in (observation, reward, done, truncated, *infos.values()):
            kept.append(array)
            copies.append(array.copy())
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_refused_action_leaves_every_row_as_it_was():
    env = TokenVectorEnv(2, autoreset_mode="NextStep", **SMALL)
    env.reset(options={"problem_id": np.array([0, 4])})
    for _ in range(3):
        env.step(np.zeros(2, dtype=int))
    env.reset(options={"reset_mask": np.array([False, True])})
    env.step(np.zeros(2, dtype=int))  # row 0 ends
    with pytest.raises(InvalidAction):
        env.step(np.array([0, 64]))
    env.step(np.zeros(2, dtype=int))
    assert env.problems.ids.tolist() == [1, 5]


def test_masks_are_those_of_single_environments():
    ours, theirs = pair(AutoresetMode.SAME_STEP)
    ours.reset(seed=1)
    theirs.reset(seed=1)
    np.testing.assert_array_equal(ours.action_masks(), np.stack(theirs.call("action_masks")))


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_every_row_is_rendered_as_a_single_environment_would(mode):
    env = TokenVectorEnv(2, render_mode=mode, **SMALL)
    env.reset(seed=0)
    env.step(np.array([5, 6]))
    alone = TokenEnv(render_mode=mode, **SMALL)
    alone.reset(seed=1)
    alone.step(6)
    assert len(env.render()) == 2
    np.testing.assert_array_equal(env.render()[1], alone.render())


@pytest.mark.parametrize("actions", [[0, 1], [0, 1, 64], [0, 1, -1], [0.0, 1.0, 2.0], 3, [[0, 1, 2]]])
def test_actions_that_are_not_one_token_a_row_are_refused(actions):
    env = TokenVectorEnv(3, **SMALL)
    env.reset(seed=0)
    with pytest.raises(InvalidAction):
        env.step(np.array(actions))


def test_a_step_before_reset_or_after_a_disabled_end_is_refused():
    env = TokenVectorEnv(2, autoreset_mode="Disabled", **SMALL)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(2, dtype=int))
    env.reset()
    for _ in range(4):
        env.step(np.zeros(2, dtype=int))
    with pytest.raises(ResetNeeded, match="reset_mask"):
        env.step(np.zeros(2, dtype=int))


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        ({"options": {"reset_mask": [True, False, True]}}, "bool array"),
        ({"options": {"reset_mask": np.zeros(3, dtype=bool)}}, "at least one"),
        ({"options": {"problem_id": np.array([1, 2])}}, "one id a row"),
        ({"options": {"resetmask": 1}}, "Did you mean 'reset_mask'"),
        ({"seed": [1, 2]}, "2 seeds were given for 3"),
    ],
)
def test_wrong_resets_are_refused(reset, message):
    with pytest.raises(SettingError, match=message):
        TokenVectorEnv(3, **SMALL).reset(**reset)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"group_size": 0}, "group_size is 0; it must be an integer of at least 1"),
        ({"num_envs": 6, "group_size": 4}, "num_envs is 6; it must be a multiple of group_size, 4"),
        ({"autoreset_mode": "Sometimes"}, "SameStep"),
        ({"render_mode": "human"}, "ansi"),
    ],
)
def test_wrong_constructions_are_refused(keywords, message):
    with pytest.raises(SettingError, match=message):
        TokenVectorEnv(**SMALL | keywords)


def test_the_difficulty_waits_until_all_rows_begin_together():
    env = TokenVectorEnv(2, autoreset_mode="Disabled", **SMALL)
    env.reset(seed=1)
    env.set_difficulty(0.0, 8)
    env.reset(options={"reset_mask": np.array([True, False])})
    assert env.task.message_vocab is None
    env.reset()
    assert env.task.message_vocab == 8
    assert env.problems.message.max() < 8
