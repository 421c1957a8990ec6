"""Heads for large categoricals are torch's categorical, faster: the same values, gradients and samples."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sb3_contrib import TRPO
from scipy import stats
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.utils import set_random_seed

from agents.algorithms.vec_env import TokenVecEnv
from agents.policies import categorical
from agents.policies.actor_critic import FastActorCriticPolicy
from agents.policies.distributions import LargeCategorical, LargeCategoricalDistribution

INF = float("inf")


@st.composite
def categoricals(draw):
    """Logits [B, V] of many sizes, some of them -∞, and tokens that may be said."""
    rows, size = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 7, 300, 70_000]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]))
    logits = scale * torch.randn(rows, size, generator=generator, dtype=torch.float64)
    logits += draw(st.sampled_from([0.0, 1e3, -1e4]))
    actions = torch.randint(size, (rows,), generator=generator)
    if draw(st.booleans()):
        masked = torch.rand(rows, size, generator=generator) < 0.7
        masked[torch.arange(rows), actions] = False
        logits[masked] = -INF
    return logits, actions


def torchs(logits, actions):
    """What torch computes, entropy included where logits are -∞."""
    log_p = logits.log_softmax(dim=1)
    p = log_p.exp()
    return log_p.gather(1, actions[:, None]).squeeze(1), -(p * log_p.clamp(min=-1e300)).sum(dim=1)


@given(categoricals())
def test_values_and_gradients_are_torchs(case):
    logits, actions = case
    weights = torch.linspace(-1.0, 2.0, len(actions), dtype=torch.float64)
    gradients, values = [], []
    for compute in (categorical.log_prob_and_entropy, torchs):
        leaf = logits.clone().requires_grad_()
        log_prob, entropy = compute(leaf, actions)
        (weights * log_prob + 0.3 * weights.flip(0) * entropy).sum().backward()
        values.append(torch.stack([log_prob, entropy]).detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(categorical.log_prob(logits, actions), values[1][0], rtol=1e-9, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences():
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: categorical.log_prob_and_entropy(z, torch.tensor([0, 4, 2])), logits)


def test_values_that_can_be_worked_out_by_hand():
    logits = torch.tensor([[math.log(0.5), math.log(0.25), math.log(0.25)], [-INF, 3.0, -INF]])
    log_prob, entropy = categorical.log_prob_and_entropy(logits, torch.tensor([1, 1]))
    assert log_prob.tolist() == pytest.approx([math.log(0.25), 0.0])
    assert entropy.tolist() == pytest.approx([1.5 * math.log(2), 0.0], abs=1e-6)


def test_a_token_that_may_not_be_said_gets_no_gradient():
    logits = torch.tensor([[0.0, -INF, 1.0]], requires_grad=True)
    log_prob, entropy = categorical.log_prob_and_entropy(logits, torch.tensor([2]))
    (log_prob + entropy).sum().backward()
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()


@pytest.fixture(params=[True, False], ids=["cdf", "race"])
def float64(request, monkeypatch):
    """Samples are drawn as on devices with float64, and as on those without."""
    monkeypatch.setattr(categorical, "WITHOUT_FLOAT64", () if request.param else ("cpu",))


@pytest.mark.parametrize("size", [10, 3000])
def test_samples_have_the_right_frequencies(size, float64):
    torch.manual_seed(0)
    logits = 2 * torch.randn(1, size)
    logits[0, ::3] = -INF
    draws = (
        categorical.sample(logits.expand(200_000, size)).numpy()
        if size == 10
        else np.concatenate([categorical.sample(logits.expand(1000, size)).numpy() for _ in range(20)])
    )
    counts, expected = np.bincount(draws, minlength=size), logits.double().softmax(dim=1)[0].numpy() * len(draws)
    assert counts[::3].sum() == 0
    frequent = expected > 5
    observed = np.append(counts[frequent], counts[~frequent].sum())
    wanted = np.append(expected[frequent], expected[~frequent].sum())
    some = wanted > 0
    assert stats.chisquare(observed[some], wanted[some] * observed.sum() / wanted.sum()).pvalue > 1e-4


def test_a_masked_token_is_never_sampled_not_even_at_the_edges(monkeypatch):
    logits = torch.full((3, 8), -INF)
    logits[0, 7], logits[1, 0], logits[2, 3:5] = 0.0, 0.0, 1.0
    for drawn in (0.0, 1.0 - 2**-53, 1.0):  # 1 is beyond what torch draws
        monkeypatch.setattr(torch, "rand", lambda *size, drawn=drawn, **_: torch.full(size, drawn, dtype=torch.float64))
        assert categorical.sample(logits)[:2].tolist() == [7, 0]
        assert categorical.sample(logits)[2] in (3, 4)


def test_a_masked_token_never_wins_a_race_not_even_without_waiting(monkeypatch):
    monkeypatch.setattr(categorical, "WITHOUT_FLOAT64", ("cpu",))
    logits = torch.full((2, 8), -INF)
    logits[0, 7], logits[1, 3:5] = 0.0, 1.0
    for wait in (0.0, 1e-45, 100.0):  # 0 is what a generator of float32 numbers draws now and then
        monkeypatch.setattr(torch.Tensor, "exponential_", lambda waits, wait=wait: waits.fill_(wait))
        assert categorical.sample(logits).tolist() == [7, 3]


def test_rare_tokens_of_many_are_sampled_in_their_place(monkeypatch):
    """Behind a frequent token, a CDF in float32 moves 50,000 rare ones; in float64 it does not."""
    logits = torch.full((5, 50_001), math.log(1e-8))
    logits[:, 0] = 0.0
    frequent, rare = logits.softmax(dim=1)[0, :2].double().tolist()
    expected = torch.tensor([0, 1, 17, 30_000, 50_000])
    quantiles = (frequent + (expected.double() - 0.5) * rare) / (frequent + 50_000 * rare)
    monkeypatch.setattr(torch, "rand", lambda *size, **_: quantiles[:, None])
    assert categorical.sample(logits).tolist() == expected.tolist()


def test_entropy_is_computed_together_with_the_log_probability_where_a_gradient_is_wanted():
    logits = torch.randn(4, 9, requires_grad=True)
    actions = torch.tensor([0, 3, 8, 2])
    both, alone = LargeCategorical(logits), LargeCategorical(logits)
    log_prob = both.log_prob(actions)
    torch.testing.assert_close(both.entropy(), alone.entropy())
    assert both.entropy().grad_fn is log_prob.grad_fn
    with torch.no_grad():
        torch.testing.assert_close(LargeCategorical(logits).log_prob(actions), log_prob)
    assert LargeCategoricalDistribution(9).proba_distribution(logits).mode().tolist() == logits.argmax(dim=1).tolist()


@given(categoricals(), st.integers(0, 2**31))
def test_divergences_are_torchs_and_can_be_differentiated_twice(case, seed):
    logits, _ = case
    other = logits + torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed), dtype=logits.dtype)
    p, q = (torch.distributions.Categorical(logits=z, validate_args=False) for z in (logits, other))
    ours = torch.distributions.kl_divergence(LargeCategorical(logits), LargeCategorical(other))
    torch.testing.assert_close(ours, torch.distributions.kl_divergence(p, q), rtol=1e-6, atol=1e-6)
    if logits.shape[1] == 7 and logits.isfinite().all() and logits.abs().max() < 100:
        leaves = logits.clone().requires_grad_(), other.clone().requires_grad_()
        assert torch.autograd.gradgradcheck(categorical.kl_divergence, leaves)


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO])
def test_an_update_with_fast_heads_is_the_update_of_stock_sb3(algorithm):
    """From the same weights, on the same rollout, the weights after the update are the same but for rounding."""
    env = TokenVecEnv(8, vocab_size=64, max_steps=8)
    env.seed(0)
    stock, fast = (
        algorithm(
            policy,
            env,
            n_steps=8,
            seed=0,
            device="cpu",
            **({"batch_size": 64} if algorithm is TRPO else {"ent_coef": 0.01}),
        )
        for policy in ("MlpPolicy", FastActorCriticPolicy)
    )
    callback = stock._setup_learn(64)[1]
    fast._setup_learn(64)
    stock.collect_rollouts(stock.env, callback, stock.rollout_buffer, 8)
    fast.rollout_buffer = copy.deepcopy(stock.rollout_buffer)
    fast.policy.load_state_dict(stock.policy.state_dict())
    before = copy.deepcopy(stock.policy.state_dict())
    for model in (stock, fast):
        set_random_seed(1)
        model.train()
    for name, weights in stock.policy.state_dict().items():
        assert not torch.equal(weights, before[name])
        torch.testing.assert_close(fast.policy.state_dict()[name], weights, rtol=1e-3, atol=1e-5)
