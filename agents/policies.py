"""Shape the policy: the networks that the settings describe, and what they prefer at the start."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents.extractors import TokenExtractor
from agents.large_categorical import LargeCategoricalDistribution
from agents.settings import Settings
from agents.tied_head import Prior, TiedDistribution, WithObservation, prior_of
from token_env.dynamics import Dynamics
from token_env.env import observation_space

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


# `policy_kwargs` for SB3's PPO: its own epsilon, and an optimizer that takes one pass over all parameters.
FUSED_ADAM = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}


class FastActorCriticPolicy(ActorCriticPolicy):
    """SB3's policy, whose categorical is computed by `agents/heads.py`: the same function, several times faster."""

    def _build(self, lr_schedule: Schedule) -> None:
        assert isinstance(self.action_space, spaces.Discrete)
        self.action_dist = LargeCategoricalDistribution(int(self.action_space.n))
        super()._build(lr_schedule)


class TiedActorCriticPolicy(ActorCriticPolicy):
    """SB3's policy with the head of `agents/tied_head.py`."""

    def __init__(self, *args: Any, prior: Prior, **keywords: Any) -> None:
        self.prior = prior
        super().__init__(*args, **keywords)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = WithObservation(
            self.features_dim, net_arch=self.net_arch, activation_fn=self.activation_fn, device=self.device
        )
        assert isinstance(self.action_space, spaces.Discrete)
        self.action_dist = TiedDistribution(self.action_space, self.mlp_extractor.hidden, self.prior)


POLICIES: dict[str, type[ActorCriticPolicy]] = {
    "stock": ActorCriticPolicy,
    "fast": FastActorCriticPolicy,
    "tied": TiedActorCriticPolicy,
}


def policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    """`policy_kwargs` for SB3."""
    policy = settings.policy
    keywords: dict[str, Any] = {"net_arch": list(policy.hidden), "activation_fn": ACTIVATIONS[policy.activation]}
    if settings.env.observation == "tokens":
        keywords["features_extractor_class"] = TokenExtractor
        keywords["features_extractor_kwargs"] = {"embedding": policy.embedding}
    if policy.head == "tied":
        keywords["prior"] = prior_of(dynamics)
    return keywords


def build_policy(settings: Settings, dynamics: Dynamics) -> ActorCriticPolicy:
    """A policy of this shape that is not going to be trained, its weights to be filled in."""
    actions = spaces.Discrete(dynamics.task.vocab_size)
    policy = POLICIES[settings.policy.head]
    return policy(observation_space(dynamics), actions, lambda _: 0.0, **policy_keywords(settings, dynamics))


def start_from_unigram(policy: BasePolicy, log_unigram: torch.Tensor) -> None:
    """Let the policy begin by saying tokens as often as the language does: its action bias becomes log u, [V]."""
    assert isinstance(policy, ActorCriticPolicy)
    head = policy.action_net
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.bias.copy_(log_unigram)
