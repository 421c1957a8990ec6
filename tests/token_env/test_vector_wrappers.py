"""Each of Gymnasium's vector wrappers gives on our batch what it gives on a loop over single environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import vector

from tests.support.environments import assert_same
from token_env.env import TokenEnv

ROWS, STEPS = 3, 21  # several episodes of 4 steps, with the resets between them
SMALL = {"vocab_size": 64, "max_steps": 4}
TWICE = gymnasium.wrappers.TransformObservation
WRAPPERS = {
    "VectorizeTransformObservation": lambda env: vector.VectorizeTransformObservation(
        env, TWICE, func=lambda seen: 2 * seen, observation_space=None
    ),
    "VectorizeTransformAction": lambda env: vector.VectorizeTransformAction(
        env, gymnasium.wrappers.TransformAction, func=lambda token: token // 2, action_space=None
    ),
    "VectorizeTransformReward": lambda env: vector.VectorizeTransformReward(
        env, gymnasium.wrappers.TransformReward, func=lambda reward: 2 * reward
    ),
    "DictInfoToList": vector.DictInfoToList,
    "TransformObservation": lambda env: vector.TransformObservation(env, lambda seen: 2 * seen),
    "FlattenObservation": vector.FlattenObservation,
    "ReshapeObservation": lambda env: vector.ReshapeObservation(env, (3, 17)),
    "RescaleObservation": lambda env: vector.RescaleObservation(env, np.float32(0.0), np.float32(1.0)),
    "DtypeObservation": lambda env: vector.DtypeObservation(env, np.float32),
    "NormalizeObservation": vector.NormalizeObservation,
    "TransformAction": lambda env: vector.TransformAction(env, lambda tokens: tokens // 2),
    "TransformReward": lambda env: vector.TransformReward(env, lambda rewards: 2 * rewards),
    "ClipReward": lambda env: vector.ClipReward(env, -1.0, 0.1),
    "NormalizeReward": vector.NormalizeReward,
    "RecordEpisodeStatistics": vector.RecordEpisodeStatistics,
}
# For other kinds of observations and actions, for pictures and for other array libraries.
OTHERS = {
    "FilterObservation", "GrayscaleObservation", "ResizeObservation", "ClipAction", "RescaleAction", "RecordVideo",
    "HumanRendering", "ArrayConversion", "JaxToNumpy", "JaxToTorch", "NumpyToTorch",
}  # fmt: skip


def played(env):
    """Everything that a wrapped environment returns in STEPS steps, but for times."""
    yield env.reset(seed=3)
    generator = np.random.default_rng(0)
    for _ in range(STEPS):
        *seen, infos = env.step(generator.integers(64, size=ROWS))
        for info in infos if isinstance(infos, list) else [infos]:
            for times in (info, info.get("episode", {})):
                times.pop("t", None), times.pop("_t", None)
        yield *seen, infos


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_gives_on_the_default_form_what_it_gives_on_a_loop(name):
    ours = WRAPPERS[name](gymnasium.make_vec("TokenTask-Tiny-v0", num_envs=ROWS, **SMALL))
    theirs = WRAPPERS[name](SyncVectorEnv([lambda: TokenEnv(**SMALL)] * ROWS))
    assert isinstance(ours.single_observation_space, spaces.Box)
    for one, other in zip(played(ours), played(theirs), strict=True):
        assert_same(one, other)


def test_every_wrapper_of_gymnasium_is_known():
    assert set(vector.__all__) <= WRAPPERS.keys() | OTHERS


def test_recorded_returns_are_those_of_whole_episodes():
    """Same-step resets gave 29 steps and wrong returns with gymnasium 1.2."""
    env = vector.RecordEpisodeStatistics(gymnasium.make_vec("TokenTask-Tiny-v0", num_envs=ROWS, **SMALL))
    env.reset(seed=3)
    totals, episodes = np.zeros(ROWS), 0
    for _ in range(STEPS):
        _, rewards, terminated, _, infos = env.step(np.full(ROWS, 5))
        totals += rewards
        if terminated.any():
            np.testing.assert_allclose(infos["episode"]["r"], totals, rtol=1e-6)
            assert infos["episode"]["l"].tolist() == [4] * ROWS
            totals[:], episodes = 0.0, episodes + 1
    assert episodes == 4


def test_the_default_ends_episodes_as_gymnasiums_own_vector_environments_do():
    single = gymnasium.make_vec("TokenTask-Tiny-v0", num_envs=1, vectorization_mode="sync")
    default = gymnasium.make_vec("TokenTask-Tiny-v0", num_envs=1)
    assert default.metadata["autoreset_mode"] is single.metadata["autoreset_mode"]
