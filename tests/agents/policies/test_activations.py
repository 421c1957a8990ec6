import pytest
import torch
from torch import nn

from agents.algorithms.models import build_policy
from agents.policies.activations import Tanh, exp
from agents.settings.layers import make_settings
from token_env import Dynamics

INF = float("inf")
NUMBERS = torch.linspace(-90.0, 60.0, 10_001)


def test_exp_and_tanh_are_torchs():
    exact = NUMBERS.double()
    assert ((exp(NUMBERS) - exact.exp()) / exact.exp()).abs().max() < 1e-5
    assert (Tanh()(NUMBERS) - exact.tanh()).abs().max() < 3e-7
    assert exp(torch.tensor([-INF, -1e30, 0.0, 200.0])).tolist() == [0.0, 0.0, 1.0, INF]
    assert Tanh()(torch.tensor([-INF, 0.0, INF])).tolist() == [-1.0, 0.0, 1.0]


def test_what_is_given_stays_as_it_is():
    given = NUMBERS.clone()
    exp(given)
    Tanh()(given)
    assert torch.equal(given, NUMBERS)


def test_tanh_has_its_first_and_second_derivative():
    numbers = torch.tensor([-3.0, -0.1, 0.0, 0.7, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Tanh(), numbers)
    assert torch.autograd.gradgradcheck(Tanh(), numbers)  # TRPO's Hessian-vector products


@pytest.mark.parametrize(("head", "activation"), [("stock", nn.Tanh), ("fast", Tanh), ("tied", Tanh)])
def test_stock_policies_keep_torchs_tanh(head, activation):
    settings = make_settings({"env": {"vocab_size": 64, "max_steps": 8}, "policy": {"head": head}})
    net = build_policy(settings, Dynamics(settings.env)).mlp_extractor
    assert [type(module) for module in net.policy_net][1::2] == [activation] * (0 if head == "tied" else 2)
    assert [type(module) for module in net.value_net][1::2] == [activation] * 2
