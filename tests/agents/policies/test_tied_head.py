"""Logits tied to the language's vectors: they start from its probabilities, and are learned from there."""

from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

import agents
from agents.algorithms.models import build_model, build_policy
from agents.algorithms.vec_env import TokenVecEnv
from agents.evaluation.scores import score_policy
from agents.policies.categorical import CHUNK_ELEMENTS
from agents.policies.tied_logits import Bigrams, immediate_logits, plain_immediate_logits
from agents.runs import run_dir
from agents.settings.layers import make_settings, preset_layer
from tests.support.models import saved
from token_env import Dynamics, SettingError
from token_env.rules.task import with_split

TINY = {"vocab_size": 64, "max_steps": 8}


def tied(**env):
    settings = make_settings({"env": TINY | env, "policy": {"head": "tied", "hidden": [16]}})
    dynamics = Dynamics(settings.env)
    return dynamics, build_policy(settings, dynamics)


def observed(dynamics, count=20):
    problems = dynamics.problems.draw(np.arange(count))
    state = dynamics.initial(problems)
    return problems, torch.as_tensor(dynamics.observe(problems, state))


def logits(policy, observations):
    return policy.get_distribution(observations).distribution.logits


@pytest.mark.parametrize("env", [{}, {"lookahead": 3}, {"reward": "potential"}, {"language": "english"}])
def test_an_untrained_policy_says_what_the_language_would(env):
    dynamics, policy = tied(**env)
    problems, observations = observed(dynamics)
    language = dynamics.language
    scores = language.context[problems.start] @ language.output.T + language.log_unigram
    expected = torch.as_tensor(scores).log_softmax(dim=1).float()
    torch.testing.assert_close(logits(policy, observations).log_softmax(dim=1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("elements", [CHUNK_ELEMENTS, 10])
def test_its_gradient_and_the_gradient_of_that_are_those_of_finite_differences(elements, monkeypatch):
    monkeypatch.setattr("agents.policies.categorical.CHUNK_ELEMENTS", elements)  # 10: two rows, then the third
    generator = torch.Generator().manual_seed(0)
    context, output, log_unigram, leniency = (
        torch.randn(size, dtype=torch.float64, generator=generator) for size in ((3, 2), (2, 5), (5,), (5,))
    )
    bigrams = Bigrams(context, output, 3.0 * log_unigram, leniency.abs())
    places = torch.tensor([0.5, 1.5, 3.0, 5.0], dtype=torch.float64)
    depth = (-bigrams.log_p(slice(None)) - bigrams.leniency).flatten()
    assert all(0 < (depth > place).sum() < len(depth) for place in places)  # some tokens on either side of each bend
    learned = [torch.randn(size, dtype=torch.float64, generator=generator) for size in ((3, 2), (4,))] + [places]
    learned = [part.requires_grad_() for part in learned]
    for logits in (immediate_logits, plain_immediate_logits):
        assert torch.autograd.gradcheck(lambda *parts, logits=logits: logits(*parts, bigrams), learned)
    assert torch.autograd.gradgradcheck(lambda *parts: immediate_logits(*parts, bigrams), learned)


def test_it_is_saved_without_the_languages_arrays(tmp_path):
    path = saved(tmp_path / "run", policy={"head": "tied"})
    weights = safetensors.torch.load_file(path / run_dir.WEIGHTS)
    size = "mlp_extractor.head.log_unigram"  # tells how many tokens there are, before memory is allocated for them
    assert weights.keys() == dict(agents.load(path).policy.named_parameters()).keys() | {size}


def test_it_learns_where_plain_logits_have_hardly_begun():
    """400 episodes: the first meanings are told, and tokens beyond the budget avoided."""
    stock, tied, planning = (
        np.mean([score_after_400_episodes(head, seed) for seed in range(3)]) for head in ("stock", "tied", "planning")
    )
    assert tied > 0.5 > 0.2 > stock
    assert planning > tied + 0.05


def score_after_400_episodes(head, seed):
    settings = make_settings(
        preset_layer("fast"),
        {"env": {"vocab_size": 200, "max_steps": 10}, "episodes": 400, "seed": seed, "device": "cpu"},
        {
            "policy": {"head": head, "hidden": [32]},
            "ppo": {"n_steps": 10, "batch_size": 200, "n_epochs": 10},
            "evaluation": {"problems": 100},
        },
    )
    env = TokenVecEnv(40, vocab_size=200, max_steps=10)
    env.seed(seed)
    model = build_model(settings, env, Dynamics(settings.env), "cpu")
    model.learn(400 * 10)
    play = partial(model.predict, deterministic=True)
    return score_policy(lambda seen: play(seen)[0], with_split(settings.env, "test"), range(100)).score


def test_ids_cannot_be_read_by_it():
    with pytest.raises(SettingError, match=r"^policy\.head=tied reads .* --set policy\.head=fast"):
        make_settings({"env": TINY | {"observation": "tokens"}, "policy": {"head": "tied"}})
