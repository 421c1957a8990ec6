"""Shape the policy: the networks that the settings describe, and what they prefer at the start."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import nn

from agents.extractors import TokenExtractor
from agents.large_categorical import LargeCategoricalDistribution
from agents.settings import Settings

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class FastActorCriticPolicy(ActorCriticPolicy):
    """SB3's policy, whose categorical is computed by `agents/heads.py`: the same function, several times faster."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        assert isinstance(self.action_space, spaces.Discrete)
        self.action_dist = LargeCategoricalDistribution(int(self.action_space.n))


# `policy_kwargs` for SB3's PPO: its own epsilon, and an optimizer that takes one pass over all parameters.
FUSED_ADAM = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}
POLICIES: dict[str, type[ActorCriticPolicy]] = {"stock": ActorCriticPolicy, "fast": FastActorCriticPolicy}


def policy_keywords(settings: Settings) -> dict[str, Any]:
    """`policy_kwargs` for SB3."""
    policy = settings.policy
    keywords: dict[str, Any] = {"net_arch": list(policy.hidden), "activation_fn": ACTIVATIONS[policy.activation]}
    if settings.env.observation == "tokens":
        keywords["features_extractor_class"] = TokenExtractor
        keywords["features_extractor_kwargs"] = {"embedding": policy.embedding}
    return keywords


def build_policy(
    settings: Settings, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> ActorCriticPolicy:
    """A policy of this shape that is not going to be trained, its weights to be filled in."""
    policy = POLICIES[settings.policy.head]
    return policy(observation_space, action_space, lambda _: 0.0, **policy_keywords(settings))


def start_from_unigram(policy: BasePolicy, log_unigram: torch.Tensor) -> None:
    """Let the policy begin by saying tokens as often as the language does: its action bias becomes log u, [V]."""
    assert isinstance(policy, ActorCriticPolicy)
    head = policy.action_net
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.bias.copy_(log_unigram)
