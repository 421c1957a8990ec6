"""Define the policy classes for large `Discrete` action spaces, by algorithm and head."""

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import CombinedExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.policies.activations import Tanh
from agents.policies.distributions import LargeCategoricalDistribution
from agents.policies.streamed import is_streamed, streamed_linear
from agents.policies.tied_head import Prior, TiedExtractor, TiedHead, check_columns
from token_env.errors import SettingError


class FastMixin(BasePolicy):
    """Policy mixin for large `Discrete` action spaces: the values of SB3's policy, computed faster.

    `categorical.py` computes the action distribution, tanh is `activations.Tanh`, and Adam is torch's fused one.

    Args:
        observation_space: Any space that SB3 supports; a `Dict` is read by `CombinedExtractor` unless told otherwise.
        action_space: A `Discrete` space that starts at 0.
        lr_schedule: Learning rate as a function of the remaining progress.
        **keywords: Other arguments of SB3's policy class.

    Raises:
        SettingError: The action space is another one.
    """

    action_space: spaces.Discrete
    action_dist: Any
    action_net: nn.Module

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        **keywords: Any,
    ) -> None:
        _check_action_space(type(self).__name__, action_space)
        keywords.setdefault("activation_fn", Tanh)
        if isinstance(observation_space, spaces.Dict):
            keywords.setdefault("features_extractor_class", CombinedExtractor)
        if keywords.get("optimizer_class", torch.optim.Adam) is torch.optim.Adam:
            keywords.setdefault("optimizer_kwargs", {"eps": 1e-5, "fused": True})  # eps is SB3's
        super().__init__(observation_space, action_space, lr_schedule, **keywords)

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = self._make_distribution()
        super()._build(lr_schedule)  # type: ignore[misc]  # BasePolicy has no _build; the concrete policy has

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Any:
        if isinstance(self.action_net, nn.Linear) and is_streamed(self.action_net.out_features):
            return self.action_dist.proba_distribution(streamed_linear(self.action_net, latent_pi))
        return super()._get_action_dist_from_latent(latent_pi)  # type: ignore[misc]

    def _make_distribution(self, head: nn.Module | None = None) -> LargeCategoricalDistribution:
        return LargeCategoricalDistribution(int(self.action_space.n), head)


def _check_action_space(policy: str, space: spaces.Space[Any]) -> None:
    if not isinstance(space, spaces.Discrete):
        raise SettingError(
            f"{policy} chooses from a Discrete action space, {space} was given; for other spaces type "
            '"MlpPolicy", or "MlpLstmPolicy" for RecurrentPPO.'
        )
    if space.start != 0:
        raise SettingError(
            f"{policy} chooses actions numbered from 0, {space} was given; type gymnasium.wrappers.TransformAction("
            f"env, lambda action: action + {space.start}, gymnasium.spaces.Discrete({space.n}))."
        )


class TiedMixin(FastMixin):
    """Policy mixin for TokenTask whose logits are computed by `TiedHead`; `net_arch` describes the value network alone.

    Args:
        *args: Spaces and learning rate schedule, as for SB3's policy classes.
        prior: Arrays of the environment's language; `policy_kwargs={"prior": language_prior(language)}`.
        depth: Number of steps that the policy plans ahead; 0 for none.
        shortlist: Number of tokens among which it plans.
        successors: Number of successors of each that it considers.
        mask_budget: Surprisal in nats beyond which the environment masks tokens, for `MaskablePPO`; None without masks.
        **keywords: Other arguments of SB3's policy class.

    Raises:
        SettingError: The prior does not fit the spaces of the environment, or the plan is deeper than the observed
            meanings reach.
    """

    net_arch: Any
    activation_fn: type[nn.Module]
    features_dim: int
    mlp_extractor: Any

    def __init__(
        self,
        *args: Any,
        prior: Prior,
        depth: int = 0,
        shortlist: int = 32,
        successors: int = 32,
        mask_budget: float | None = None,
        **keywords: Any,
    ) -> None:
        self.tied_head_kwargs: dict[str, Any] = {
            "prior": prior,
            "depth": depth,
            "shortlist": shortlist,
            "successors": successors,
            "mask_budget": mask_budget,
        }
        super().__init__(*args, **keywords)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | self.tied_head_kwargs

    def _build_mlp_extractor(self) -> None:
        check_columns(self.tied_head_kwargs["prior"], self.features_dim, int(self.action_space.n))
        self.mlp_extractor = TiedExtractor(
            self.features_dim + self._memory_units(),
            TiedHead(**self.tied_head_kwargs, memory=self._memory_units()),
            self.net_arch["vf"] if isinstance(self.net_arch, dict) else self.net_arch,
            activation_fn=self.activation_fn,
            device=self.device,
        )
        self.action_dist = self._make_distribution(nn.Identity())

    def _memory_units(self) -> int:
        """Return the number of columns that follow the observation: those of the LSTM's output, if there is one."""
        return 0


class ActorMixin(ActorCriticPolicy):
    """Policy mixin for algorithms without a value function: values are 0, and the value network is never computed.

    The value network keeps its weights, so that algorithms with one can start from such a policy.
    """

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions [N], values [N, 1] and log-probabilities of the actions [N]."""
        distribution = self.get_distribution(obs)
        actions = distribution.get_actions(deterministic)
        return actions, self._no_values(actions), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [N, 1], log-probabilities of the actions [N] and entropies [N]."""
        distribution = self.get_distribution(obs)
        return self._no_values(actions), distribution.log_prob(actions), distribution.entropy()

    def predict_values(self, obs: Any) -> Tensor:
        """Return values [N, 1]."""
        return self._no_values(obs)

    @staticmethod
    def _no_values(rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), 1, device=rows.device)


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
    """Fast policy for PPO, A2C and TRPO: `PPO(FastActorCriticPolicy, env)`."""


class FastActorPolicy(ActorMixin, FastActorCriticPolicy):
    """Fast policy for GRPO."""


class FastMaskableActorCriticPolicy(FastMixin, MaskableActorCriticPolicy):
    """Fast policy for MaskablePPO; `rollout_buffer_class=PackedMaskBuffer` stores the masks as bits."""


class FastRecurrentActorCriticPolicy(FastMixin, WholeSequencePolicy):
    """Fast policy for RecurrentPPO."""


class TiedActorCriticPolicy(TiedMixin, ActorCriticPolicy):
    """Tied policy for PPO, A2C and TRPO."""


class TiedActorPolicy(ActorMixin, TiedActorCriticPolicy):
    """Tied policy for GRPO."""


class TiedMaskableActorCriticPolicy(TiedMixin, MaskableActorCriticPolicy):
    """Tied policy for MaskablePPO."""


class TiedRecurrentActorCriticPolicy(TiedMixin, WholeSequencePolicy):
    """Tied policy for RecurrentPPO; head and value network take the observation and the LSTM's output."""

    def _memory_units(self) -> int:
        return int(self.lstm_output_dim)

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> Any:  # output [N, H] and the new LSTM states; sb3-contrib's annotation is wrong
        output, lstm_states = WholeSequencePolicy._process_sequence(features, lstm_states, episode_starts, lstm)
        return torch.cat([features, output], dim=1), lstm_states


Policies = dict[str, type[BasePolicy]]  # key: policy.head; "stock" is the class of SB3 or sb3-contrib
PLAIN: Policies = {
    "stock": ActorCriticPolicy,
    "fast": FastActorCriticPolicy,
    "tied": TiedActorCriticPolicy,
    "planning": TiedActorCriticPolicy,
}
ACTOR_ONLY: Policies = {
    "stock": ActorCriticPolicy,
    "fast": FastActorPolicy,
    "tied": TiedActorPolicy,
    "planning": TiedActorPolicy,
}
MASKABLE: Policies = {
    "stock": MaskableActorCriticPolicy,
    "fast": FastMaskableActorCriticPolicy,
    "tied": TiedMaskableActorCriticPolicy,
    "planning": TiedMaskableActorCriticPolicy,
}
RECURRENT: Policies = {
    "stock": RecurrentActorCriticPolicy,
    "fast": FastRecurrentActorCriticPolicy,
    "tied": TiedRecurrentActorCriticPolicy,
    "planning": TiedRecurrentActorCriticPolicy,
}
