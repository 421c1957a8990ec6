"""Episodes that are played elsewhere, and problems that are drawn ahead of them."""

import threading

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from token_env.rules.problems import ProblemStream
from token_env.vector import TokenVectorEnv

ROWS, LENGTH = 5, 4


def batch(**keywords):
    env = TokenVectorEnv(ROWS, AutoresetMode.SAME_STEP, vocab_size=64, max_steps=LENGTH, **keywords)
    env.reset(seed=3)
    return env


def tokens(seed=0):
    return np.random.default_rng(seed).integers(64, size=(ROWS, LENGTH))


def played(env, chosen):
    """Adequacy and fluency penalty of whole episodes, by the rules alone."""
    state = env.dynamics.initial(env.problems)
    for step in range(LENGTH):
        state = env.dynamics.transition(env.problems, state, chosen[:, step]).next_state
    return state.adequacy, state.fluency_penalty


@pytest.mark.parametrize("keywords", [{}, {"optimum": True}, {"group_size": 5}, {"observation": "tokens"}])
def test_episodes_that_were_played_elsewhere_end_like_those_that_are_stepped(keywords):
    stepped, ended = batch(**keywords), batch(**keywords)
    for seed in range(3):
        chosen = tokens(seed)
        for step in range(LENGTH):
            observations, _, _, _, infos = stepped.step(chosen[:, step])
        others, other_infos = ended.end_episodes(chosen, *played(ended, chosen))
        np.testing.assert_array_equal(observations, others)
        for seen, other in zip(infos["final_obs"], other_infos["final_obs"], strict=True):
            np.testing.assert_array_equal(seen, other)
        for name, column in infos["final_info"].items():
            if name not in ("adequacy", "fluency_penalty"):  # of the last step alone
                np.testing.assert_array_equal(column, other_infos["final_info"][name])
        assert stepped.problems.ids.tolist() == ended.problems.ids.tolist()


def go_on(env, chosen):
    return env.end_episodes(chosen, *played(env, chosen))[0]


@pytest.fixture
def threads(monkeypatch):
    """Names of the threads that problems are drawn by."""
    take, names = ProblemStream.take, []

    def noted(self, *args):
        names.append(threading.current_thread().name.partition("_")[0])
        return take(self, *args)

    monkeypatch.setattr(ProblemStream, "take", noted)
    return names


def test_problems_that_are_drawn_ahead_are_those_that_would_be_drawn(threads):
    plain, ahead = batch(), batch()
    for seed in range(20):  # a block of ids has 8
        ahead.draw_ahead()
        ahead.draw_ahead()  # nothing more to do
        np.testing.assert_array_equal(go_on(plain, tokens(seed)), go_on(ahead, tokens(seed)))
        np.testing.assert_array_equal(plain.due, ahead.due)
    ahead.close()
    assert threads.count("problems") == 20
    assert threads.count("MainThread") == 2 + 20  # the first ones, and those of the plain batch


@pytest.mark.parametrize(
    "change",
    [
        lambda env: env.reset(options={"problem_id": 77}),
        lambda env: env.reset(options={"problem_id": 9, "reset_mask": np.arange(ROWS) == 2}),
        lambda env: (env.set_difficulty(0.0, 20), env.reset()),
    ],
)
def test_problems_that_are_not_wanted_any_more_are_dropped(change):
    plain, ahead = batch(), batch()
    ahead.draw_ahead()
    for env in (plain, ahead):
        change(env)
    for seed in range(3):
        np.testing.assert_array_equal(plain.problems.meanings, ahead.problems.meanings)
        np.testing.assert_array_equal(go_on(plain, tokens(seed)), go_on(ahead, tokens(seed)))
        ahead.draw_ahead()
