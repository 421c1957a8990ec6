"""Groups of answers to the same problem instead of a value function."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import agents
from agents.algorithms.grpo import GRPO, GroupRolloutBuffer
from agents.algorithms.models import build_learner
from agents.algorithms.tensor_buffer import GroupTensorBuffer
from agents.training.fit import fit
from tests.support.models import variant_settings
from tests.support.settings import short_settings
from token_env import SettingError

REWARDS = np.array([[1, 3, 0, 0], [2, 0, 4, 0], [5, 7, 8, 8], [0, 4, 0, 2]])  # two episodes of two steps, two groups
RETURNS = np.array([[2, 3, 2, 0], [2, 0, 4, 0], [5, 9, 8, 9], [0, 4, 0, 2]])  # with γ = 0.5
ADVANTAGES = np.array([[-0.5, 0.5, 1, -1], [1, -1, 2, -2], [-2, 2, -0.5, 0.5], [-2, 2, -1, 1]])


def filled_buffer(rewards=REWARDS, **keywords):
    space = spaces.Box(-1.0, 1.0, (1,))
    buffer = GroupRolloutBuffer(4, space, spaces.Discrete(2), "cpu", gamma=0.5, n_envs=4, group_size=2, **keywords)
    for step, reward in enumerate(rewards):
        starts, values = np.full(4, step % 2 == 0), torch.full((4,), 100.0)
        buffer.add(np.zeros((4, 1)), np.zeros((4, 1)), reward, starts, values, torch.zeros(4))
    buffer.compute_returns_and_advantage(torch.full((4,), 100.0), np.ones(4))
    return buffer


def test_advantages_are_returns_less_the_groups_mean_at_the_same_step():
    buffer = filled_buffer()
    np.testing.assert_allclose(buffer.returns, RETURNS)
    np.testing.assert_allclose(buffer.advantages, ADVANTAGES)
    np.testing.assert_allclose(buffer.values, [[2.5, 2.5, 1, 1], [1, 1, 2, 2], [7, 7, 8.5, 8.5], [2, 2, 1, 1]])
    assert buffer.advantages.dtype == np.float32


def test_one_left_out_is_compared_with_the_others():
    buffer = filled_buffer(leave_one_out=True)
    np.testing.assert_allclose(buffer.advantages, 2 * ADVANTAGES)
    np.testing.assert_allclose(buffer.values, RETURNS[:, [1, 0, 3, 2]])


def test_scaled_advantages_deviate_by_one_in_each_group_unless_its_answers_are_equal():
    scaled = filled_buffer(scale=True).advantages.reshape(4, 2, 2)
    np.testing.assert_allclose(scaled.std(axis=(0, 2)), 1, rtol=1e-6)
    np.testing.assert_allclose(scaled[:, 0] / scaled[0, 0, 0], ADVANTAGES[:, :2] / ADVANTAGES[0, 0], rtol=1e-6)
    assert not filled_buffer(np.ones((4, 4)), scale=True).advantages.any()


@pytest.mark.parametrize("group_size", [1, 3])
def test_environments_that_are_no_whole_groups_are_refused(group_size):
    space = spaces.Box(-1.0, 1.0, (1,))
    with pytest.raises(SettingError, match=f"4 environments are not a whole number of groups of {group_size}"):
        GroupRolloutBuffer(4, space, spaces.Discrete(2), "cpu", n_envs=4, group_size=group_size)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({}, (True, False, False)),
        ({"scale_advantage": "group"}, (False, False, True)),
        ({"scale_advantage": "none", "baseline": "leave_one_out"}, (False, True, False)),
    ],
)
def test_settings_reach_the_buffer(section, told):
    settings = variant_settings("grpo")
    settings = settings.model_copy(update={"grpo": settings.grpo.model_copy(update=section)})
    model = build_learner(settings, "cpu").model
    assert isinstance(model, GRPO)
    buffer = model.rollout_buffer
    assert isinstance(buffer, GroupTensorBuffer)
    assert (model.normalize_advantage, buffer.leave_one_out, buffer.scale) == told
    assert (buffer.group_size, buffer.gamma, model.vf_coef) == (2, 0.99, 0.0)


def test_the_rows_of_a_group_train_on_the_same_problems(tmp_path):
    run = fit(short_settings(algorithm="grpo"), tmp_path / "run", progress=False).run
    ids = agents.load_metrics(run).episodes.problem_id.to_numpy().reshape(8, 2, 4)  # rollouts, groups, rows
    assert (ids == ids[:, :, :1]).all()
    assert (ids[:, 0] != ids[:, 1]).all()
    assert (np.diff(ids, axis=0) == 1).all()


@pytest.mark.parametrize("head", ["fast", "planning"])
def test_the_value_network_is_never_computed(head):
    model = build_learner(variant_settings("grpo", head), "cpu").model
    before = {name: weight.clone() for name, weight in model.policy.named_parameters()}
    for module in (model.policy.value_net, model.policy.mlp_extractor.value_net):
        module.register_forward_pre_hook(lambda *_: pytest.fail("the value network was computed"))
    model.learn(64)
    changed = {name for name, weight in model.policy.named_parameters() if not torch.equal(weight, before[name])}
    assert changed
    assert not {name for name in changed if "value_net" in name}


def test_a_model_is_trained_saved_and_loaded_with_the_public_names(tmp_path):
    def make_env():
        return agents.TokenVecEnv(4, group_size=2, vocab_size=64, max_steps=8)

    model = agents.GRPO(agents.FastActorPolicy, make_env(), group_size=2, n_steps=8, batch_size=16, device="cpu")
    model.learn(32)
    model.save(tmp_path / "model")
    loaded = agents.GRPO.load(tmp_path / "model", env=make_env(), device="cpu")
    assert (loaded.rollout_buffer.group_size, loaded.rollout_buffer.gae_lambda) == (2, 1.0)
    observations = make_env().reset()
    np.testing.assert_array_equal(
        loaded.predict(observations, None, None, True)[0], model.predict(observations, None, None, True)[0]
    )
    loaded.learn(32)
