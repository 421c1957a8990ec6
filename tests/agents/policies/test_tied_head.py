"""Logits tied to the language's vectors: they start from its probabilities, and are learned from there."""

import numpy as np
import pytest
import safetensors.torch
import torch

import agents
from agents.algorithms.models import build_model, build_policy
from agents.algorithms.vec_env import TokenVecEnv
from agents.evaluation.scores import score_policy
from agents.policies.categorical import CHUNK_ELEMENTS
from agents.policies.tied_head import BENDS, BENDS_LR_MULTIPLIER, MEANINGS_LR_MULTIPLIER, Bigrams, tied_logits
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


def test_the_formula_with_numbers_in_every_part_of_it():
    dynamics, policy = tied(lookahead=1)
    problems, observations = observed(dynamics)
    head, language = policy.action_net, dynamics.language
    generator = np.random.default_rng(0)
    a, b, c, e = (
        generator.normal(size=tuple(part.shape)) for part in (head.of_meanings, head.of_hidden, head.bends, head.bias)
    )
    with torch.no_grad():
        for part, value in zip((head.of_meanings, head.of_hidden, head.bends, head.bias), (a, b, c, e), strict=True):
            part.copy_(torch.as_tensor(value))
    scores = language.context[problems.start] @ language.output.T + language.log_unigram
    log_p = torch.as_tensor(scores).log_softmax(dim=1).numpy()
    h = policy.mlp_extractor.policy_net(observations).detach().numpy()
    seen = problems.meanings[:, :2].reshape(len(h), -1)
    places = np.array([2.5, 3.25, 4.0, 4.75, 5.5, 6.25])
    bent = np.maximum(0.0, -places - log_p[..., None]) @ (BENDS_LR_MULTIPLIER * c)
    expected = log_p - bent + (MEANINGS_LR_MULTIPLIER * seen @ a + h @ b) @ language.output.T + e
    np.testing.assert_allclose(logits(policy, observations).detach().numpy(), expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("elements", [CHUNK_ELEMENTS, 10])
def test_its_gradient_and_the_gradient_of_that_are_those_of_finite_differences(elements, monkeypatch):
    monkeypatch.setattr("agents.policies.categorical.CHUNK_ELEMENTS", elements)  # 10: two rows, then the third
    torch.manual_seed(0)
    context, output, log_unigram = (torch.randn(size, dtype=torch.float64) for size in ((3, 2), (2, 5), (5,)))
    bigrams = Bigrams(context, output, 3.0 * log_unigram)  # some of them beyond the last bend
    assert bigrams.log_p(slice(None)).min() < -6.25
    learned = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((3, 2), (5,), (1 + BENDS,))]
    assert torch.autograd.gradcheck(lambda *parts: tied_logits(*parts, bigrams), learned)
    assert torch.autograd.gradgradcheck(lambda *parts: tied_logits(*parts, bigrams), learned)


def test_it_is_saved_without_the_languages_arrays(tmp_path):
    path = saved(tmp_path / "run", policy={"head": "tied"})
    weights = safetensors.torch.load_file(path / run_dir.WEIGHTS)
    assert weights.keys() == dict(agents.load(path).policy.named_parameters()).keys()


def test_it_learns_where_plain_logits_have_hardly_begun():
    """400 episodes: the first meanings are told, and tokens beyond the budget avoided."""
    scores = {}
    for head in ("stock", "tied"):
        settings = make_settings(
            preset_layer("fast"),
            {"env": {"vocab_size": 200, "max_steps": 10}, "episodes": 400, "device": "cpu"},
            {
                "policy": {"head": head, "hidden": [32]},
                "ppo": {"n_steps": 10, "batch_size": 200},
                "evaluation": {"problems": 100},
            },
        )
        env = TokenVecEnv(40, vocab_size=200, max_steps=10)
        env.seed(0)
        dynamics = Dynamics(settings.env)
        model = build_model(settings, env, dynamics, "cpu")
        model.learn(400 * 10)
        scores[head] = score_policy(
            lambda seen, model=model: model.predict(seen, deterministic=True)[0],
            with_split(settings.env, "test"),
            range(100),
        ).score
    assert scores["tied"] > 0.3
    assert scores["tied"] > scores["stock"] + 0.1


def test_ids_cannot_be_read_by_it():
    with pytest.raises(SettingError, match=r"^policy\.head=tied reads .* --set policy\.head=fast"):
        make_settings({"env": TINY | {"observation": "tokens"}, "policy": {"head": "tied"}})
