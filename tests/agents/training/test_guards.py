"""The first bad number or action stops a training, which says where it was."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy

from agents.algorithms.rollouts import EpisodeRollouts
from agents.algorithms.vec_env import TokenVecEnv
from agents.runs import run_dir
from agents.settings.layers import make_settings, preset_layer
from agents.training.fit import fit
from agents.training.guards import (
    MAX_MAGNITUDE,
    CheckedVecEnv,
    DivergedError,
    TrainingError,
    check_weights,
    global_norm,
    gradients,
)

SHORT = {
    "device": "cpu",
    "episodes": 24,
    "ppo": {"n_envs": 4, "batch_size": 32},
    "evaluation": {"problems": 2},
    "checkpoints": {"seconds": 0.0, "problems": 2},
}


def train(run, **layer):
    return fit(make_settings(preset_layer("tiny"), SHORT, layer), run, progress=False)


def batch(masked=False):
    env = CheckedVecEnv(TokenVecEnv(3, vocab_size=20, max_steps=5), masked)
    env.seed(0)
    env.reset()
    return env


@pytest.mark.parametrize("action", [-1, 20])
def test_a_token_that_does_not_exist_is_named_with_environment_and_step(action):
    env = batch()
    env.step(np.array([1, 2, 3]))
    with pytest.raises(TrainingError, match=rf"environment 1, step 3: action {action}, but .* tokens are 0 … 19"):
        env.step(np.array([1, action, 3]))


def test_a_masked_out_token_is_named_where_masks_are_kept_to():
    env, careless = batch(masked=True), batch()
    masks = np.stack(env.env_method("action_masks"))
    allowed = masks.argmax(axis=1)
    env.step(allowed)
    masks = np.stack(env.env_method("action_masks"))
    allowed = masks.argmax(axis=1)
    row = int(np.flatnonzero(~masks.all(axis=1))[0])
    forbidden = np.where(np.arange(3) == row, masks.argmin(axis=1), allowed)
    with pytest.raises(
        TrainingError, match=rf"environment {row}, step 3: action {forbidden[row]}, but its mask forbids"
    ):
        env.step(forbidden)
    careless.env_method("action_masks")
    careless.step(forbidden)  # who was only curious may say what they like


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, -2 * MAX_MAGNITUDE])
@pytest.mark.parametrize("kind", ["reward", "observation"])
def test_a_bad_number_is_named_at_the_step_where_it_appears(kind, value, tmp_path, monkeypatch):
    end_episodes, played = CheckedVecEnv.end_episodes, []

    def spoilt(self, episodes):
        played.append(1)
        if len(played) == 4:
            spoilt_part = episodes.rewards[1] if kind == "reward" else episodes.observations[1, :, 5]
            spoilt_part[2] = value
        return end_episodes(self, episodes)

    monkeypatch.setattr(CheckedVecEnv, "end_episodes", spoilt)
    place = r" \(column 5\)" if kind == "observation" else ""
    told = (
        rf"environment 2, step 100: {kind} {np.float32(value)}{place}\. The last good checkpoint is '.*episode-00000012"
    )
    with pytest.raises(TrainingError, match=told.replace("+", r"\+")):
        train(tmp_path / "run")
    assert not (tmp_path / "run" / run_dir.MODEL).exists()


@pytest.mark.parametrize("kind", ["reward", "observation"])
def test_a_bad_number_is_named_where_stable_baselines_steps(kind, monkeypatch):
    step_wait = TokenVecEnv.step_wait

    def spoilt(self):
        observations, rewards, *rest = step_wait(self)
        (rewards if kind == "reward" else observations[:, 5])[2] = np.inf
        return observations, rewards, *rest

    env = batch()
    env.step(np.zeros(3, dtype=np.int64))
    monkeypatch.setattr(TokenVecEnv, "step_wait", spoilt)
    place = r" \(column 5\)" if kind == "observation" else ""
    with pytest.raises(TrainingError, match=rf"environment 2, step 3: {kind} inf{place}\."):
        env.step(np.zeros(3, dtype=np.int64))


@pytest.mark.parametrize("token", [-1, 64])
def test_a_token_that_does_not_exist_is_named_when_its_episode_is_over(token, tmp_path, monkeypatch):
    end_episodes = CheckedVecEnv.end_episodes

    def spoilt(self, episodes):
        episodes.actions[5, 1] = token
        return end_episodes(self, episodes)

    monkeypatch.setattr(CheckedVecEnv, "end_episodes", spoilt)
    with pytest.raises(TrainingError, match=rf"environment 1, step 20: action {token}, but .* tokens are 0 … 63"):
        train(tmp_path / "run")


@pytest.mark.parametrize("head", ["fast", "planning"])
def test_logits_that_are_not_finite_stop_the_run(head, tmp_path, monkeypatch):
    forward = ActorCriticPolicy.forward

    def diverged(self, *args):
        next(self.parameters()).data.fill_(torch.nan)
        return forward(self, *args)

    monkeypatch.setattr(ActorCriticPolicy, "forward", diverged)
    with pytest.raises(TrainingError, match=r"the update after step 32: policy_gradient_loss nan\."):
        train(tmp_path / "run", policy={"head": head})


def test_a_bug_in_the_sampler_stops_the_run(tmp_path, monkeypatch):
    play = EpisodeRollouts._play

    def unmasked(self, *args):
        policy = self.policy.forward
        self.policy.forward = lambda seen, action_masks: policy(seen, action_masks=None)
        return play(self, *args)

    monkeypatch.setattr(EpisodeRollouts, "_play", unmasked)
    with pytest.raises(TrainingError, match=r"environment \d+, step \d+: action \d+, but its mask forbids that token"):
        train(tmp_path / "run", algorithm="maskable-ppo", policy={"head": "stock"}, env={"mask_budget": 0.1})


def test_a_diverged_loss_stops_the_run(tmp_path, monkeypatch):
    update = PPO.train

    def diverged(self):
        update(self)
        if self.num_timesteps == 64:
            self.logger.record("train/value_loss", float("nan"))

    monkeypatch.setattr(PPO, "train", diverged)
    with pytest.raises(TrainingError, match=r"update after step 64: value_loss nan\. The last good .*episode-00000004"):
        train(tmp_path / "run")


def test_a_gradient_without_a_norm_stops_the_run(tmp_path, monkeypatch):
    update = PPO.train

    def exploded(self):
        update(self)
        assert 0 < global_norm(gradients(self.policy)) < 10
        next(self.policy.parameters()).grad[0] = float("inf")

    monkeypatch.setattr(PPO, "train", exploded)
    with pytest.raises(TrainingError, match=r"update after step 32: gradient norm inf\. There is no checkpoint"):
        train(tmp_path / "run")


@pytest.mark.parametrize("head", ["stock", "fast", "tied"])
def test_a_training_whose_steps_are_too_large_tells_what_there_is_of_it(head, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"the update after step 32: .*nan|logits are not finite") as stopped:
        train(run, policy={"head": head}, ppo=SHORT["ppo"] | {"learning_rate": 1e20, "max_grad_norm": 1e9})
    result = stopped.value.result
    assert (result.run, result.summary.status, result.summary.episodes) == (run, "diverged", 4)
    assert result.summary.training_seconds > 0
    assert result.agent.settings.policy.head == head
    assert not (run / run_dir.SUMMARY).exists()  # the run can be resumed


def test_weights_that_are_not_finite_are_never_saved():
    check_weights({"good": torch.zeros(3), "ids": torch.arange(3)})
    with pytest.raises(TrainingError, match=r"the weights net\.bias contain nan"):
        check_weights({"net.bias": torch.tensor([1.0, float("nan")])})
