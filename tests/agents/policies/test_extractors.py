import numpy as np
import pytest
import safetensors.torch
import torch
from stable_baselines3 import PPO

import agents
from agents.algorithms.vec_env import TokenVecEnv
from agents.policies.extractors import TokenExtractor
from agents.runs import run_dir
from tests.support.models import saved
from token_env import Task, evaluate
from token_env.env import TokenEnv

IDS = {"vocab_size": 12, "max_steps": 4, "observation": "tokens"}


def test_features_are_the_vectors_of_the_tokens_and_the_clock():
    extractor = TokenExtractor(TokenEnv(lookahead=1, **IDS).observation_space, embedding=3)
    features = extractor(torch.tensor([[5.0, 7.0, 0.0, 3.0], [11.0, 2.0, 2.0, 4.0]]))
    assert features.shape == (2, extractor.features_dim) == (2, 10)
    said, due = extractor.said.weight, extractor.due.weight
    expected = [
        torch.cat([said[5], due[7], due[0], torch.tensor([0.75])]),
        torch.cat([said[11], due[2], due[2], torch.ones(1)]),
    ]
    torch.testing.assert_close(features, torch.stack(expected))


def test_stock_ppo_learns_to_read_ids():
    env = TokenVecEnv(16, reward="exact", **IDS)
    env.seed(0)
    keywords = {"features_extractor_class": TokenExtractor, "features_extractor_kwargs": {"embedding": 8}}
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=16,
        batch_size=128,
        gamma=0.0,
        learning_rate=1e-2,
        seed=0,
        policy_kwargs=keywords,
        device="cpu",
    )

    def share_of_exact_words():
        task = Task(split="test", reward="exact", **IDS)
        said = evaluate(lambda observations: model.predict(observations, deterministic=True)[0], range(200), task=task)
        return float(np.mean(said.actions == task_messages(task)))

    before = share_of_exact_words()
    model.learn(4_000)
    assert before < 0.3
    assert share_of_exact_words() > 0.8


def task_messages(task):
    from token_env import Dynamics

    return Dynamics(task).problems.draw(np.arange(200)).message


def test_the_vectors_of_the_ids_are_saved_and_loaded(tmp_path):
    path = saved(tmp_path / "run", env=IDS, policy={"head": "fast", "embedding": 5})
    kept, loaded = safetensors.torch.load_file(path / run_dir.WEIGHTS), agents.load(path).policy
    for vectors in (loaded.features_extractor.said.weight, loaded.features_extractor.due.weight):
        assert vectors.shape == (12, 5)
        assert any(torch.equal(vectors, weights) for weights in kept.values())


@pytest.mark.parametrize("reward", ["terminal", "potential"])
def test_ids_cannot_show_what_was_accrued(reward):
    with pytest.raises(ValueError, match="observation='features'"):
        TokenEnv(reward=reward, **IDS)
