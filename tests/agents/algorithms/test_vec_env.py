import numpy as np
import pytest
from gymnasium.error import InvalidAction
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from agents.algorithms.vec_env import COMPONENTS, TokenVecEnv
from tests.support.environments import OPTIONS, assert_same
from token_env import Dynamics, SettingError, Task
from token_env.env import TokenEnv

SMALL = {"vocab_size": 64, "max_steps": 4}


def assert_infos_agree(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        is_last = "terminal_observation" in other  # problem and score are told in the last step only
        names = set(other) if is_last else {*COMPONENTS, "TimeLimit.truncated"}
        assert set(mine) - {"episode"} == names
        for key in names:
            np.testing.assert_array_equal(mine[key], other[key])
            assert type(mine[key]) is type(other[key])


@pytest.mark.parametrize("keywords", [{}, {"reward": "potential"}, *OPTIONS])
def test_the_batch_agrees_with_sb3s_loop_step_for_step(keywords):
    ours = TokenVecEnv(5, **SMALL, **keywords)
    theirs = DummyVecEnv([lambda: TokenEnv(**SMALL, **keywords)] * 5)
    for env in (ours, theirs):
        env.seed(11)
    assert_same(ours.reset(), theirs.reset())
    generator = np.random.default_rng(0)
    for _ in range(60):
        actions = generator.integers(64, size=5)
        mine, other = ours.step(actions), theirs.step(actions)
        assert_same(mine[:3], other[:3])
        assert_infos_agree(mine[3], other[3])


@pytest.mark.parametrize("reward", ["dense", "exact", "potential", lambda t: 100.0 + t.action])
def test_episode_statistics_have_the_sum_of_rewards_and_the_return_of_the_components(reward):
    env = VecMonitor(TokenVecEnv(3, reward=reward, **SMALL))
    ours = TokenVecEnv(3, reward=reward, **SMALL)
    for each in (env, ours):
        each.seed(1)
        each.reset()
    totals, rewards, said = np.zeros(3), np.zeros(3), []
    for t in range(4):
        said.append(np.array([t, t + 1, t + 2]))
        _, reward_of_step, _, infos = ours.step(said[-1])
        monitored = env.step(said[-1])[3]
        rewards += reward_of_step
        totals += [info["adequacy"] - info["fluency_penalty"] for info in infos]
    for row, info in enumerate(infos):
        assert info["episode"]["r"] == pytest.approx(rewards[row], rel=1e-6)
        assert info["episode"]["r"] == pytest.approx(monitored[row]["episode"]["r"], abs=1e-5)
        assert info["episode"]["return"] == pytest.approx(totals[row])
        assert info["episode"]["l"] == 4
        assert info["episode"]["tokens"].tolist() == [step[row] for step in said]


@pytest.mark.parametrize("keywords", [{}, {"observation": "tokens"}, {"optimum": True, "split": "test"}])
def test_the_difficulty_changes_when_the_next_episodes_begin(keywords):
    ours = TokenVecEnv(3, **SMALL, **keywords)
    theirs = DummyVecEnv([lambda: TokenEnv(**SMALL, **keywords)] * 3)
    untouched = TokenVecEnv(3, **SMALL, **keywords)
    for env in (ours, theirs, untouched):
        env.seed(5)
        env.reset()
    actions, played = np.random.default_rng(0).integers(64, size=(16, 3)), []
    for t in range(16):
        if t == 2:  # in the middle of the first episode, which goes on as it began
            for env in (ours, theirs):
                assert env.env_method("set_difficulty", 0.0, 16) == [None] * 3
        played.append(ours.get_attr("problems")[0])
        mine, other = ours.step(actions[t]), theirs.step(actions[t])
        assert_same(mine[:3], other[:3])
        assert_infos_agree(mine[3], other[3])
        if t < 3:
            assert_same(mine[:3], untouched.step(actions[t])[:3])
    for begun, difficulty in ((0, {}), (4, {"noise": 0.0, "message_vocab": 16})):
        dynamics = Dynamics(Task(**SMALL, **keywords, **difficulty))
        assert_same(played[begun], dynamics.problems.draw(played[0].ids + begun // 4))
        assert played[begun] is played[begun + 3]
    assert ours.get_attr("task")[0].message_vocab == 16
    assert ours.get_attr("task")[0].split == keywords.get("split", "train")


def test_a_difficulty_that_is_not_allowed_is_refused():
    with pytest.raises(SettingError, match="message_vocab is 65; it must be from 2 to 64"):
        TokenVecEnv(2, **SMALL).env_method("set_difficulty", 0.0, 65)


def test_masks_attributes_and_options_reach_single_rows():
    env = TokenVecEnv(4, **SMALL)
    env.set_options([{"problem_id": 10 * row} for row in range(4)])
    env.reset()
    assert env.get_attr("problems")[0].ids.tolist() == [0, 10, 20, 30]
    assert env.has_attr("action_masks")
    masks = np.stack(env.env_method("action_masks"))
    np.testing.assert_array_equal(masks[[1, 3]], env.env_method("action_masks", indices=[1, 3]))
    assert masks.shape == (4, 64)
    assert env.env_is_wrapped(VecMonitor) == [False] * 4
    assert env.render_mode is None


def test_options_and_attributes_of_single_rows_are_those_of_sb3s_loop():
    ours, theirs = TokenVecEnv(3, **SMALL), DummyVecEnv([lambda: TokenEnv(**SMALL)] * 3)
    for env in (ours, theirs):
        env.seed(2)
        env.set_options([{"problem_id": 3}, {}, {"problem_id": 9}])
    assert_same(ours.reset(), theirs.reset())
    for name in ("action_space", "observation_space", "render_mode"):
        assert ours.get_attr(name) == theirs.get_attr(name)
    for mine, other in zip(ours.get_attr("problem"), theirs.get_attr("problem"), strict=True):
        np.testing.assert_array_equal(mine.message, other.message)
    ours.set_options({"problem": 3})
    with pytest.raises(SettingError, match="Did you mean"):
        ours.reset()


def test_sb3s_monitor_can_wrap_it():
    env = VecMonitor(TokenVecEnv(2, **SMALL))
    env.reset()
    for _ in range(4):
        _, _, done, infos = env.step(np.array([1, 2]))
    assert done.all()
    assert infos[0]["episode"]["l"] == 4


def test_sb3_tiles_the_pictures_of_all_rows():
    env = TokenVecEnv(4, render_mode="rgb_array", **SMALL)
    env.reset()
    one = env.get_images()[0].shape
    assert env.render().shape == (2 * one[0], 2 * one[1], 3)


def test_wrong_actions_and_keywords_are_refused():
    env = TokenVecEnv(2, **SMALL)
    env.reset()
    with pytest.raises(InvalidAction):
        env.step(np.array([0, 64]))
    with pytest.raises(SettingError, match="Did you mean 'vocab_size'"):
        TokenVecEnv(2, vocab=3)
