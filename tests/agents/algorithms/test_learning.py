import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env

from agents.algorithms.budget import check_budget
from agents.algorithms.models import build_model
from agents.algorithms.table import ALGORITHMS, find_algorithm
from agents.algorithms.vec_env import TokenVecEnv
from agents.settings.layers import make_settings
from agents.settings.schema import section_name
from tests.support.probes import PROBES, DelayedReward, TwoPrompts
from token_env import Dynamics, SettingError

GAMMA = 0.5


# What each algorithm needs for the probes, and how many rollouts.
ON_PROBES = {
    "ppo": ({"batch_size": 96, "n_epochs": 6}, 28),
    "a2c": ({}, 90),
    "grpo": ({"batch_size": 96, "n_epochs": 6}, 28),
    "trpo": ({"batch_size": 96, "target_kl": 0.05}, 28),
    "maskable-ppo": ({"batch_size": 96, "n_epochs": 6}, 28),
    "recurrent-ppo": ({"batch_size": 96, "n_epochs": 4, "lstm_hidden_size": 16}, 24),
}


def probe_model(algorithm, probe):
    section = {"n_envs": 8, "n_steps": 12, "gamma": GAMMA, "learning_rate": 0.01}
    section |= ON_PROBES[algorithm][0] | ({} if algorithm == "grpo" else {"gae_lambda": 0.95})
    head = "fast" if algorithm == "recurrent-ppo" else "stock"
    settings = make_settings(
        {
            "algorithm": algorithm,
            "policy": {"hidden": [32], "head": head, "optimizer": "adam"},
            section_name(algorithm): section,
        }
    )
    return build_model(settings, make_vec_env(probe, n_envs=8, seed=0), Dynamics(settings.env), "cpu")


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_solves_every_probe(algorithm, probe):
    model = probe_model(algorithm, probe)
    model.learn(8 * 12 * ON_PROBES[algorithm][1])
    env, returns = make_vec_env(probe, n_envs=50, seed=1), np.zeros(50)
    observation, state = env.reset(), None
    for step in range(probe.length):
        starts = np.full(50, step == 0)
        action, state = model.predict(observation, state, starts, deterministic=True)
        observation, reward, _, _ = env.step(action)
        returns += reward
    prompts = 0.5 if probe is TwoPrompts else 0.0
    assert returns.mean() == pytest.approx(probe.best, abs=0.02 + prompts / 2)
    if probe in (TwoPrompts, DelayedReward) and algorithm != "grpo":  # which learns no values
        values = values_at_starts(model, find_algorithm(algorithm).recurrent)
        expected = {TwoPrompts: [0, 1], DelayedReward: [GAMMA**2] * 2}[probe]
        assert values == pytest.approx(expected, abs=0.08)


def values_at_starts(model, recurrent):
    """What an episode is worth that begins with either prompt."""
    starts = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    memory = torch.zeros(1, 2, 16)
    values = model.policy.predict_values(starts, *(((memory, memory), torch.ones(2)) if recurrent else ()))
    return values.detach().numpy()[:, 0]


def test_the_policy_can_start_from_the_unigram_distribution():
    settings = make_settings(
        {
            "env": {"vocab_size": 64, "max_steps": 8},
            "ppo": {"action_bias": "log_unigram", "n_steps": 8, "batch_size": 8},
        }
    )
    env = TokenVecEnv(1, vocab_size=64, max_steps=8)
    model = build_model(settings, env, Dynamics(settings.env), "cpu")
    observation = torch.as_tensor(env.reset())
    probabilities = model.policy.get_distribution(observation).distribution.probs[0].detach().numpy()
    assert probabilities == pytest.approx(np.exp(env.vector_env.language.log_unigram), rel=0.2)


def test_a_linear_schedule_falls_to_zero():
    settings = make_settings({"ppo": {"learning_rate": 0.5, "learning_rate_schedule": "linear"}})
    model = build_model(settings, TokenVecEnv(1, vocab_size=64), Dynamics(settings.env), "cpu")
    assert [model.lr_schedule(remaining) for remaining in (1.0, 0.5, 0.0)] == [0.5, 0.25, 0.0]


def test_settings_reach_sb3_under_its_own_names():
    settings = make_settings(
        {"algorithm": "a2c", "a2c": {"ent_coef": 0.25, "n_steps": 60, "gamma": 0.3, "vf_coef": 0.7}}
    )
    model = build_model(settings, TokenVecEnv(1, vocab_size=64), Dynamics(settings.env), "cpu")
    assert (model.ent_coef, model.n_steps, model.gamma, model.vf_coef) == (0.25, 60, 0.3, 0.7)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"ppo": {"n_steps": 45}}, "--set ppo.n_steps=60"),
        ({"ppo": {"n_steps": 7}}, "--set ppo.n_steps=30"),
        ({"ppo": {"n_steps": 30, "n_envs": 64}}, "--episodes 1984, or --set ppo.n_envs=50"),
        ({"ppo": {"n_steps": 60, "n_envs": 30}}, "--episodes 1980, or --set ppo.n_envs=25"),
        ({"episodes": 7, "ppo": {"n_steps": 30, "n_envs": 8}}, "--episodes 8, or --set ppo.n_envs=7"),
        ({"ppo": {"n_steps": 30, "n_envs": 40, "batch_size": 250}}, "--set ppo.batch_size=240"),
        ({"algorithm": "a2c", "a2c": {"n_steps": 5}}, "--set a2c.n_steps=30"),
        ({"episodes": 10**9 + 7, "ppo": {"n_steps": 30, "n_envs": 40}}, "--episodes 1000000000, or --set ppo.n_envs=1"),
        ({"episodes": 5, "env": {"max_steps": 1}, "ppo": {"n_steps": 1}}, "at least 2 steps"),
        (
            {"episodes": 5, "ppo": {"n_steps": 60}},
            r"type --episodes 6\.\n- ppo\.batch_size=64 .* --set ppo\.batch_size=60\.$",
        ),
        (
            {"algorithm": "grpo", "grpo": {"n_envs": 42, "n_steps": 7, "batch_size": 7}},
            r"--set grpo\.n_steps=30\.\n- .*=42 is not a multiple of grpo\.group_size=8; .* --set grpo\.n_envs=40\.\n"
            r"- .* --set grpo\.batch_size=6\.$",
        ),
        (
            {"algorithm": "grpo", "episodes": 400, "grpo": {"n_envs": 48, "n_steps": 30, "batch_size": 60}},
            "--episodes 384, or --set grpo.n_envs=40",
        ),
        ({"algorithm": "maskable-ppo", "ppo": {"n_steps": 45}}, "--set maskable_ppo.n_steps=60"),
        ({"algorithm": "trpo", "trpo": {"n_steps": 60, "batch_size": 7}}, "--set trpo.batch_size=6"),
        ({"episodes": 5, "env": {"max_steps": 7}, "ppo": {"n_steps": 7, "batch_size": 2}}, "--set ppo.batch_size=7"),
    ],
)
def test_a_budget_that_is_no_whole_number_of_rollouts_is_refused_with_the_nearest_fit(layer, message):
    with pytest.raises(SettingError, match=message):
        check_budget(make_settings(layer))


def test_unknown_algorithms_are_refused():
    with pytest.raises(SettingError, match="unknown algorithm"):
        _ = make_settings({"algorithm": "dqn"}).hyperparameters
