"""Vocabularies that are too large for an array of rows × tokens."""

import numpy as np
import pytest
import torch

from agents.algorithms.models import build_policy
from agents.policies import streamed
from agents.policies.bf16 import set_linear_precision
from agents.settings.layers import make_settings
from tests.agents.policies.test_planning import Largest
from token_env import Dynamics

VOCAB, ROWS = 1501, 40
HEADS = [("fast", {}), ("tied", {}), ("planning", {"depth": 1}), ("planning", {"depth": 2})]


def policy_and_steps(head, options, algorithm="ppo"):
    """A policy with weights of any size, and observations and actions [N]."""
    policy = {"head": head, "hidden": [16], "shortlist": 7, "successors": 5} | options
    env = {"vocab_size": VOCAB, "max_steps": 8, "lookahead": 2}
    settings = make_settings({"algorithm": algorithm, "env": env, "policy": policy})
    dynamics = Dynamics(settings.env)
    problems = dynamics.problems.draw(np.arange(ROWS))
    observations = torch.as_tensor(dynamics.observe(problems, dynamics.initial(problems)))
    network = build_policy(settings, dynamics)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network, observations, torch.randint(VOCAB, (ROWS,), generator=generator)


def evaluated(network, observations, actions):
    """Values, log-probabilities and entropies, and the gradients of a loss of all three."""
    network.zero_grad()
    outputs = network.evaluate_actions(observations, actions)
    weights = torch.randn(3, ROWS, generator=torch.Generator().manual_seed(1))
    sum((weight * output.flatten()).sum() for weight, output in zip(weights, outputs, strict=True)).backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    return [output.detach() for output in outputs], gradients


@pytest.fixture
def streaming(monkeypatch):
    """Stream every vocabulary, in chunks of 400 tokens."""
    monkeypatch.setattr(streamed, "STREAMED_TOKENS", 0)
    monkeypatch.setattr(streamed, "STREAMED_ELEMENTS", 400 * ROWS)
    monkeypatch.setattr(streamed, "SORTED_ELEMENTS", 900 * ROWS)


@pytest.mark.parametrize(("head", "options"), HEADS)
def test_streamed_updates_are_those_of_whole_arrays(head, options, monkeypatch, request):
    network, *steps = policy_and_steps(head, options)
    whole, gradients = evaluated(network, *steps)
    request.getfixturevalue("streaming")
    with Largest() as largest:
        parts, others = evaluated(network, *steps)
    for output, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(output, other, rtol=2e-5, atol=2e-5)
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 0, name
        scale = float(gradient.abs().max())
        torch.testing.assert_close(gradient, others[name], rtol=1e-4, atol=1e-4 * scale, msg=name)
    assert largest.elements < ROWS * VOCAB


def test_the_largest_array_without_streaming_is_the_whole_one():
    """The control of the test above."""
    network, *steps = policy_and_steps("fast", {})
    with Largest() as largest:
        evaluated(network, *steps)
    assert largest.elements >= ROWS * VOCAB


@pytest.mark.usefixtures("streaming")
def test_masks_and_trust_regions_take_whole_arrays():
    """Masks are arrays of rows × tokens, and TRPO differentiates the divergence of two distributions twice."""
    network, observations, actions = policy_and_steps("planning", {}, "maskable-ppo")
    masks = torch.ones(ROWS, VOCAB, dtype=torch.bool)
    masks[:, 100:] = False
    actions %= 100
    assert network.evaluate_actions(observations, actions, action_masks=masks)[1].isfinite().all()
    assert (network.evaluate_actions(observations, actions + 100, action_masks=masks)[1].exp() == 0).all()
    network, observations, actions = policy_and_steps("planning", {}, "trpo")
    old, new = network.get_distribution(observations), network.get_distribution(observations)
    divergence = torch.distributions.kl_divergence(old.distribution, new.distribution)
    assert divergence.requires_grad
    assert divergence.abs().max() < 1e-5


@pytest.mark.usefixtures("streaming")
def test_products_are_those_of_the_layer():
    network, *steps = policy_and_steps("fast", {})
    float32 = evaluated(network, *steps)[0][1]
    set_linear_precision(network, "bf16")
    bf16 = evaluated(network, *steps)[0][1]
    assert 0 < (float32 - bf16).abs().max() < 0.05


@pytest.mark.usefixtures("streaming")
def test_rollouts_take_whole_arrays():
    network, observations, _ = policy_and_steps("planning", {})
    with torch.no_grad():
        distribution = network.get_distribution(observations).distribution
    assert isinstance(distribution._logits, torch.Tensor)
    assert network.get_distribution(observations).distribution.logits.shape == (ROWS, VOCAB)
