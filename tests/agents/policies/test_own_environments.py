"""The fast policies train, save and load on any environment with a large Discrete action space."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.policies import ActorCriticPolicy

import agents
from token_env import SettingError, find_language

ACTIONS = 3000
SHORT = {"n_steps": 8, "batch_size": 8, "seed": 0, "device": "cpu"}
ALGORITHMS = {
    PPO: (agents.FastActorCriticPolicy, SHORT),
    A2C: (agents.FastActorCriticPolicy, {"n_steps": 8, "seed": 0, "device": "cpu"}),
    TRPO: (agents.FastActorCriticPolicy, SHORT),
    MaskablePPO: (
        agents.FastMaskableActorCriticPolicy,
        SHORT | {"rollout_buffer_class": agents.PackedMaskBuffer},
    ),
    RecurrentPPO: (agents.FastRecurrentActorCriticPolicy, SHORT),
}
SEEN = spaces.Box(-1.0, 1.0, (6,))


class Shelf(gymnasium.Env):
    """Four steps of choosing an even number, which is all the masks allow."""

    def __init__(self, observation_space=SEEN, action_space=None):
        self.observation_space = observation_space
        self.action_space = action_space or spaces.Discrete(ACTIONS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.left = 4
        return self.observation_space.sample(), {}

    def step(self, action):
        self.left -= 1
        return self.observation_space.sample(), float(action % 2 == 0), self.left == 0, False, {}

    def action_masks(self):
        return np.arange(self.action_space.n) % 2 == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_trains_and_predicts_the_same_after_saving_and_loading(algorithm, tmp_path):
    policy, keywords = ALGORITHMS[algorithm]
    model = algorithm(policy, Shelf(), **keywords)
    before = model.policy.action_net.bias.clone()
    model.learn(16)
    assert not torch.equal(model.policy.action_net.bias, before)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=Shelf(), device="cpu")
    assert type(loaded.policy) is policy
    observations = np.random.default_rng(0).uniform(-1, 1, (40, 6)).astype(np.float32)
    np.testing.assert_array_equal(
        loaded.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )
    loaded.learn(8)


def test_sb3s_own_policy_loads_what_the_fast_one_learned(tmp_path):
    model = PPO(agents.FastActorCriticPolicy, Shelf(), **SHORT).learn(16)
    model.save(tmp_path / "model")
    stock = PPO.load(tmp_path / "model", custom_objects={"policy_class": ActorCriticPolicy}, device="cpu")
    assert type(stock.policy) is ActorCriticPolicy
    observations = np.random.default_rng(0).uniform(-1, 1, (40, 6)).astype(np.float32)
    np.testing.assert_array_equal(
        stock.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )


def test_what_makes_the_policies_fast_needs_no_keyword_and_gives_way_to_one():
    policy = PPO(agents.FastActorCriticPolicy, Shelf(), **SHORT).policy
    assert {name: policy.optimizer.defaults[name] for name in ("fused", "eps")} == {"fused": True, "eps": 1e-5}
    keywords = {"optimizer_kwargs": {"eps": 1e-3}, "activation_fn": torch.nn.ReLU}
    policy = PPO(agents.FastActorCriticPolicy, Shelf(), policy_kwargs=keywords, **SHORT).policy
    assert {name: policy.optimizer.defaults[name] for name in ("fused", "eps")} == {"fused": None, "eps": 1e-3}
    assert policy.activation_fn is torch.nn.ReLU
    assert isinstance(
        A2C(agents.FastActorCriticPolicy, Shelf(), device="cpu").policy.optimizer.defaults["alpha"], float
    )


SEVERAL = spaces.Dict({"place": SEEN, "kind": spaces.Discrete(5)})


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO, RecurrentPPO])
def test_observations_of_several_parts_are_read_by_sb3s_combined_extractor(algorithm):
    algorithm(ALGORITHMS[algorithm][0], Shelf(SEVERAL), **SHORT).learn(8)


def test_packed_masks_beside_observations_of_several_parts_are_refused():
    policy, keywords = ALGORITHMS[MaskablePPO]
    with pytest.raises(SettingError, match=r"^PackedMaskBuffer .* leave rollout_buffer_class out"):
        MaskablePPO(policy, Shelf(SEVERAL), **keywords)


@pytest.mark.parametrize("space", [spaces.MultiDiscrete([3, 3]), spaces.Box(-1.0, 1.0, (2,)), spaces.MultiBinary(4)])
@pytest.mark.parametrize(
    "policy",
    [agents.FastActorCriticPolicy, agents.FastMaskableActorCriticPolicy, agents.FastRecurrentActorCriticPolicy],
)
def test_an_action_space_that_is_not_discrete_is_refused(policy, space):
    with pytest.raises(SettingError, match=rf"^{policy.__name__} chooses from a Discrete action space, .* was given"):
        policy(SEEN, space, lambda _: 1e-3)


def test_actions_that_do_not_start_at_0_are_refused_with_the_wrapper_that_helps():
    env = Shelf(action_space=spaces.Discrete(7, start=5))
    with pytest.raises(SettingError, match=r"numbered from 0, .*start=5") as refused:
        PPO(agents.FastActorCriticPolicy, env, **SHORT)
    wrapper = str(refused.value).partition("type ")[2].rstrip(".")
    wrapped = eval(wrapper, {"gymnasium": gymnasium, "env": env})
    given = []
    env.step = lambda action: (given.append(action), Shelf.step(env, action))[1]
    PPO(agents.FastActorCriticPolicy, wrapped, **SHORT).learn(8)
    assert set(given) <= set(range(5, 12))
    assert max(given) > 6


def tied(env, prior):
    return PPO(agents.TiedActorCriticPolicy, env, policy_kwargs={"prior": prior}, **SHORT)


def test_the_tied_head_needs_the_language_of_the_environment_alone(tmp_path):
    env = agents.TokenVecEnv(2, vocab_size=64, max_steps=8, lookahead=2)
    model = tied(env, agents.language_prior(env.get_attr("language")[0], lookahead=2)).learn(16)
    model.save(tmp_path / "model")
    model.policy.save(tmp_path / "policy")
    observations = env.reset()
    for loaded in (
        PPO.load(tmp_path / "model", device="cpu"),
        agents.TiedActorCriticPolicy.load(tmp_path / "policy", device="cpu"),
    ):
        np.testing.assert_array_equal(
            loaded.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
        )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"vocab_size": 50}, r"of a language of 64 tokens, .* 50 actions"),
        ({"lookahead": 3}, r"lookahead=1, .* 85 columns"),
        ({"observation": "tokens"}, r"lookahead=1, .* 4 columns"),
    ],
)
def test_a_prior_that_does_not_fit_the_environment_is_refused(keywords, message):
    prior = agents.language_prior(find_language("synthetic", 64))
    with pytest.raises(SettingError, match=message):
        tied(agents.TokenVecEnv(2, **{"vocab_size": 64, "max_steps": 8} | keywords), prior)


@pytest.mark.parametrize("reward", ["dense", "terminal", "potential"])
def test_a_prior_fits_whatever_the_reward_adds_to_the_observation(reward):
    env = agents.TokenVecEnv(2, vocab_size=64, max_steps=8, reward=reward)
    tied(env, agents.language_prior(env.get_attr("language")[0]))
