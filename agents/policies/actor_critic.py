"""Define the policy classes by algorithm and head, and the keywords that configure their networks."""

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
from agents.policies.tied_head import Prior, SkipMlpExtractor, TiedHead, language_prior
from agents.settings.schema import Settings
from token_env.errors import SettingError
from token_env.rules.dynamics import Dynamics

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}
STOCK_ACTIVATIONS = ACTIVATIONS | {"tanh": nn.Tanh}  # policy.head=stock uses SB3's modules unchanged

# `policy_kwargs` for algorithms that use Adam: SB3's epsilon, and torch's fused implementation.
FUSED_ADAM = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}


class FastMixin(BasePolicy):
    """Policy mixin whose action distribution is computed by `categorical.py`: same values as SB3's, but faster."""

    categorical: ClassVar[type[LargeCategoricalDistribution]] = LargeCategoricalDistribution
    action_space: spaces.Discrete
    action_dist: Any

    def _build(self, lr_schedule: Schedule) -> None:
        if not isinstance(self.action_space, spaces.Discrete):
            raise SettingError(
                f"{type(self).__name__} chooses from a Discrete action space, {self.action_space} was given; "
                'type "MlpPolicy" for other spaces.'
            )
        self.action_dist = self._make_distribution()
        super()._build(lr_schedule)  # type: ignore[misc]  # BasePolicy has no _build; the concrete policy has

    def _make_distribution(self, head: nn.Module | None = None) -> LargeCategoricalDistribution:
        return self.categorical(int(self.action_space.n), head)


class TiedMixin(FastMixin):
    """Policy mixin whose logits are computed by `TiedHead`."""

    net_arch: Any
    activation_fn: type[nn.Module]
    features_dim: int
    mlp_extractor: Any

    def __init__(self, *args: Any, prior: Prior, **keywords: Any) -> None:
        self.prior = prior
        super().__init__(*args, **keywords)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = SkipMlpExtractor(
            self._latent_dim(),
            self.features_dim,
            net_arch=self.net_arch,
            activation_fn=self.activation_fn,
            device=self.device,
        )
        self.action_dist = self._make_distribution(TiedHead(self.mlp_extractor.hidden, self.prior))

    def _latent_dim(self) -> int:
        """Return the number of inputs of the policy and value networks."""
        return self.features_dim


class WholeSequencePolicy(RecurrentActorCriticPolicy):
    """sb3-contrib's recurrent policy, but one LSTM call processes a whole sequence if no episode begins inside it.

    The rollout buffer already cuts sequences at episode starts, yet sb3-contrib calls the LSTM step by step.
    """

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> Any:  # output [N, H] and the new LSTM states; sb3-contrib's annotation is wrong
        sequences = lstm_states[0].shape[1]
        starts = episode_starts.reshape(sequences, -1)
        if not starts[:, 1:].any():
            keep = (1.0 - starts[:, 0]).view(1, sequences, 1)
            lstm_states = keep * lstm_states[0], keep * lstm_states[1]
            episode_starts = torch.zeros_like(episode_starts)
        return RecurrentActorCriticPolicy._process_sequence(features, lstm_states, episode_starts, lstm)


class FastActorCriticPolicy(FastMixin, ActorCriticPolicy):
    """Fast policy for PPO and A2C."""


class TiedActorCriticPolicy(TiedMixin, ActorCriticPolicy):
    """Tied policy for PPO and A2C."""


class FastTrustRegionPolicy(FastMixin, ActorCriticPolicy):
    """Fast policy for TRPO. Only sampling is faster: TRPO needs a KL divergence that is twice differentiable."""

    categorical = TorchCategoricalDistribution


class TiedTrustRegionPolicy(TiedMixin, ActorCriticPolicy):
    """Tied policy for TRPO."""

    categorical = TorchCategoricalDistribution


class FastMaskablePolicy(FastMixin, MaskableActorCriticPolicy):
    """Fast policy for MaskablePPO."""


class TiedMaskablePolicy(TiedMixin, MaskableActorCriticPolicy):
    """Tied policy for MaskablePPO."""


class FastRecurrentPolicy(FastMixin, WholeSequencePolicy):
    """Fast policy for RecurrentPPO."""


class TiedRecurrentPolicy(TiedMixin, WholeSequencePolicy):
    """Tied policy for RecurrentPPO; its networks take the observation next to the LSTM's output."""

    def _latent_dim(self) -> int:
        return self.features_dim + self.lstm_output_dim

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> Any:  # output [N, H] and the new LSTM states; sb3-contrib's annotation is wrong
        output, lstm_states = WholeSequencePolicy._process_sequence(features, lstm_states, episode_starts, lstm)
        return torch.cat([features, output], dim=1), lstm_states


Policies = dict[str, type[BasePolicy]]  # key: policy.head; "stock" is the class of SB3 or sb3-contrib
PLAIN: Policies = {"stock": ActorCriticPolicy, "fast": FastActorCriticPolicy, "tied": TiedActorCriticPolicy}
TRUST_REGION: Policies = {"stock": ActorCriticPolicy, "fast": FastTrustRegionPolicy, "tied": TiedTrustRegionPolicy}
MASKABLE: Policies = {"stock": MaskableActorCriticPolicy, "fast": FastMaskablePolicy, "tied": TiedMaskablePolicy}
RECURRENT: Policies = {"stock": RecurrentActorCriticPolicy, "fast": FastRecurrentPolicy, "tied": TiedRecurrentPolicy}


def policy_keywords(settings: Settings, dynamics: Dynamics) -> dict[str, Any]:
    """Return the `policy_kwargs` of the model for SB3."""
    policy = settings.policy
    activations = STOCK_ACTIVATIONS if policy.head == "stock" else ACTIVATIONS
    keywords: dict[str, Any] = {"net_arch": list(policy.hidden), "activation_fn": activations[policy.activation]}
    if settings.env.observation == "tokens":
        keywords["features_extractor_class"] = TokenExtractor
        keywords["features_extractor_kwargs"] = {"embedding": policy.embedding}
    if policy.head == "tied":
        keywords["prior"] = language_prior(dynamics)
    return keywords


def start_from_unigram(policy: BasePolicy, log_unigram: torch.Tensor) -> None:
    """Set the action bias to the language's log-unigram probabilities, [V] nats; the policy starts near them."""
    head = policy.action_net
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.bias.copy_(log_unigram)
