"""Shape the policy: its class for each kind of algorithm and head, its networks, what it prefers at the start."""

from typing import Any, ClassVar

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.policies.activations import Tanh
from agents.policies.distributions import LargeCategoricalDistribution, TorchCategoricalDistribution
from agents.policies.extractors import TokenExtractor
from agents.policies.tied_head import Prior, TiedHead, WithObservation, prior_of
from agents.settings.schema import Settings
from token_env.rules.dynamics import Dynamics

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}
STOCK_ACTIVATIONS = ACTIVATIONS | {"tanh": nn.Tanh}  # of policy.head=stock, which stays as SB3 has it


# `policy_kwargs` for algorithms that use Adam: SB3's epsilon, and an optimizer that takes one pass over all parameters.
FUSED_ADAM = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}


class Fast(BasePolicy):
    """Mixin that computes the categorical in `categorical.py`: the same function as SB3's, several times faster."""

    categorical: ClassVar[type[LargeCategoricalDistribution]] = LargeCategoricalDistribution
    action_space: spaces.Discrete
    action_dist: Any

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = self._distribution_of_tokens()
        super()._build(lr_schedule)  # type: ignore[misc]  # of the policy that this is mixed into

    def _distribution_of_tokens(self, head: nn.Module | None = None) -> LargeCategoricalDistribution:
        return self.categorical(int(self.action_space.n), head)


class Tied(Fast):
    """Mixed into a policy: its logits are made by the head of `agents/policies/tied_head.py`."""

    net_arch: Any
    activation_fn: type[nn.Module]
    features_dim: int
    mlp_extractor: Any

    def __init__(self, *args: Any, prior: Prior, **keywords: Any) -> None:
        self.prior = prior
        super().__init__(*args, **keywords)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = WithObservation(
            self._latent_inputs(),
            self.features_dim,
            net_arch=self.net_arch,
            activation_fn=self.activation_fn,
            device=self.device,
        )
        self.action_dist = self._distribution_of_tokens(TiedHead(self.mlp_extractor.hidden, self.prior))

    def _latent_inputs(self) -> int:
        """How many numbers the networks behind the features take."""
        return self.features_dim


class WholeSequences(RecurrentActorCriticPolicy):
    """sb3-contrib's recurrent policy, whose LSTM takes a sequence in one call where no episode begins inside it.

    The rollout buffer cuts sequences where episodes begin; sb3-contrib goes step by step all the same.
    """

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> Any:  # output [N, H] and the states behind it; sb3-contrib's hint says something else
        sequences = lstm_states[0].shape[1]
        starts = episode_starts.reshape(sequences, -1)
        if not starts[:, 1:].any():
            kept = (1.0 - starts[:, 0]).view(1, sequences, 1)
            lstm_states = kept * lstm_states[0], kept * lstm_states[1]
            episode_starts = torch.zeros_like(episode_starts)
        return RecurrentActorCriticPolicy._process_sequence(features, lstm_states, episode_starts, lstm)


class FastActorCriticPolicy(Fast, ActorCriticPolicy):
    """For PPO and A2C."""


class TiedActorCriticPolicy(Tied, ActorCriticPolicy):
    """For PPO and A2C."""


class FastTrustRegionPolicy(Fast, ActorCriticPolicy):
    """For TRPO, which differentiates the divergence of torch's categorical twice: only samples are drawn faster."""

    categorical = TorchCategoricalDistribution


class TiedTrustRegionPolicy(Tied, ActorCriticPolicy):
    """For TRPO."""

    categorical = TorchCategoricalDistribution


class FastMaskablePolicy(Fast, MaskableActorCriticPolicy):
    """For MaskablePPO."""


class TiedMaskablePolicy(Tied, MaskableActorCriticPolicy):
    """For MaskablePPO."""


class FastRecurrentPolicy(Fast, WholeSequences):
    """For RecurrentPPO."""


class TiedRecurrentPolicy(Tied, WholeSequences):
    """For RecurrentPPO: the networks see the observation beside what the LSTM made of all so far."""

    def _latent_inputs(self) -> int:
        return self.features_dim + self.lstm_output_dim

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> Any:  # output [N, H] and the states behind it; sb3-contrib's hint says something else
        output, lstm_states = WholeSequences._process_sequence(features, lstm_states, episode_starts, lstm)
        return torch.cat([features, output], dim=1), lstm_states


Policies = dict[str, type[BasePolicy]]  # by policy.head; "stock" is SB3's or sb3-contrib's own
PLAIN: Policies = {"stock": ActorCriticPolicy, "fast": FastActorCriticPolicy, "tied": TiedActorCriticPolicy}
TRUST_REGION: Policies = {"stock": ActorCriticPolicy, "fast": FastTrustRegionPolicy, "tied": TiedTrustRegionPolicy}
MASKABLE: Policies = {"stock": MaskableActorCriticPolicy, "fast": FastMaskablePolicy, "tied": TiedMaskablePolicy}
RECURRENT: Policies = {"stock": RecurrentActorCriticPolicy, "fast": FastRecurrentPolicy, "tied": TiedRecurrentPolicy}


def policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    """`policy_kwargs` for SB3."""
    policy = settings.policy
    activations = STOCK_ACTIVATIONS if policy.head == "stock" else ACTIVATIONS
    keywords: dict[str, Any] = {"net_arch": list(policy.hidden), "activation_fn": activations[policy.activation]}
    if settings.env.observation == "tokens":
        keywords["features_extractor_class"] = TokenExtractor
        keywords["features_extractor_kwargs"] = {"embedding": policy.embedding}
    if policy.head == "tied":
        keywords["prior"] = prior_of(dynamics)
    return keywords


def start_from_unigram(policy: BasePolicy, log_unigram: torch.Tensor) -> None:
    """Let the policy begin by saying tokens as often as the language does: its action bias becomes log u, [V]."""
    head = policy.action_net
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.bias.copy_(log_unigram)
