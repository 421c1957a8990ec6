"""Rollouts of whole episodes: the numbers of SB3's own, its callbacks, and where SB3's own are kept."""

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from agents.algorithms import models
from agents.algorithms.models import build_learner, plays_whole_episodes
from agents.algorithms.rollouts import EpisodeRollouts
from agents.algorithms.table import ALGORITHMS
from agents.training.guards import CheckedVecEnv
from tests.support.models import variant_settings
from token_env import REWARDS

EPISODES = 2  # of each row in a rollout


def settings_of(algorithm, head="planning", **env):
    settings = variant_settings(algorithm, head, **env)
    section = settings.hyperparameters
    longer = section.model_copy(update={"n_steps": EPISODES * settings.env.max_steps})
    return settings.model_copy(update={settings.section: longer})


def trained(settings, rollouts=2):
    """The model after a few rollouts, and its environments; checked, as in a run."""
    learner = build_learner(settings, "cpu", wrap=lambda env: CheckedVecEnv(env, masked=True))
    section = settings.hyperparameters
    learner.model.learn(rollouts * section.n_envs * section.n_steps)
    return learner.model, learner.env


def of_stable_baselines(monkeypatch, settings):
    with monkeypatch.context() as patch:
        patch.setattr(models, "plays_whole_episodes", lambda _: False)
        return trained(settings)


def same(ours, theirs, tolerance=0.0):
    for (name, weight), (_, other) in zip(
        ours.policy.state_dict().items(), theirs.policy.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(weight, other, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("head", ["stock", "fast", "planning"])
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "recurrent-ppo"])
def test_a_training_is_that_of_stable_baselines_own_rollouts(algorithm, head, monkeypatch):
    settings = settings_of(algorithm, head)
    (ours, env), (theirs, other_env) = trained(settings), of_stable_baselines(monkeypatch, settings)
    assert isinstance(ours, EpisodeRollouts)
    assert not isinstance(theirs, EpisodeRollouts)
    same(ours, theirs, tolerance=1e-5 if algorithm == "grpo" else 0.0)  # torch sums a group in another order
    assert ours.num_timesteps == theirs.num_timesteps == ours.env.steps == theirs.env.steps
    for info, other in zip(ours.ep_info_buffer, theirs.ep_info_buffer, strict=True):
        assert info.pop("r") == pytest.approx(other.pop("r"), abs=1e-5)  # sums of float32 and of float64
        assert {**info, "t": 0, "tokens": info["tokens"].tolist()} == {
            **other,
            "t": 0,
            "tokens": other["tokens"].tolist(),
        }
    np.testing.assert_array_equal(ours._last_obs, theirs._last_obs)
    assert env.get_attr("problems")[0].ids.tolist() == other_env.get_attr("problems")[0].ids.tolist()


@pytest.mark.parametrize("observation", ["features", "tokens"])
@pytest.mark.parametrize("reward", REWARDS)
def test_it_is_that_for_every_reward_and_observation(reward, observation, monkeypatch):
    if observation == "tokens" and (REWARDS[reward].accrued or REWARDS[reward].potential):
        pytest.skip("tokens do not show what has been accrued")
    settings = settings_of("ppo", "fast", reward=reward, observation=observation)
    same(trained(settings)[0], of_stable_baselines(monkeypatch, settings)[0])


class Listener(BaseCallback):
    """Notes what callbacks are told, and stops after a number of calls."""

    def __init__(self, last=10**9):
        super().__init__()
        self.last, self.seen = last, []

    def _on_step(self):
        heard = (self.num_timesteps, self.locals["rewards"].copy(), self.locals["dones"].copy())
        self.seen.append((*heard, [info.get("episode", {}).get("return") for info in self.locals["infos"]]))
        return self.n_calls < self.last


def test_callbacks_hear_of_every_step_as_from_stable_baselines(monkeypatch):
    settings, heard = settings_of("ppo"), []
    for episodes in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(models, "plays_whole_episodes", lambda _, episodes=episodes: episodes)
            model, listener = build_learner(settings, "cpu").model, Listener()
            model.learn(1, callback=listener)
            heard.append(listener.seen)
    assert len(heard[0]) == settings.ppo.n_steps
    for (steps, rewards, dones, returns), (other_steps, others, other_dones, other_returns) in zip(*heard, strict=True):
        assert (steps, returns) == (other_steps, other_returns)
        np.testing.assert_array_equal(rewards, others)
        np.testing.assert_array_equal(dones, other_dones)


def test_a_callback_stops_the_training_at_its_step():
    settings = settings_of("ppo")
    model, listener = build_learner(settings, "cpu").model, Listener(last=11)
    model.learn(10**6, callback=listener)
    assert (len(listener.seen), model.num_timesteps) == (11, 11 * settings.ppo.n_envs)


class Own(PPO):
    """An algorithm that collects by itself."""

    def collect_rollouts(self, *args, **keywords):
        return super().collect_rollouts(*args, **keywords)


def test_the_algorithms_own_rollouts_are_kept_where_ours_do_not_fit(monkeypatch):
    assert plays_whole_episodes(settings_of("ppo"))
    assert not plays_whole_episodes(settings_of("recurrent-ppo"))
    assert type(trained(settings_of("recurrent-ppo"))[0]) is RecurrentPPO
    assert not plays_whole_episodes(settings_of("ppo", reward="rewards:mine"))
    cut = settings_of("ppo")
    assert not plays_whole_episodes(cut.model_copy(update={"ppo": cut.ppo.model_copy(update={"n_steps": 9})}))
    monkeypatch.setitem(ALGORITHMS, "ppo", ALGORITHMS["ppo"]._replace(learner=Own))
    assert not plays_whole_episodes(settings_of("ppo"))
