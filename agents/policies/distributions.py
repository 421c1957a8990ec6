"""Put a distribution over thousands of tokens in the place of SB3's categorical one; `heads.py` does the work."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import CategoricalDistribution
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.policies import categorical


class LargeCategorical:
    """Categoricals with logits [B, V], of which nothing is computed before it is asked for.

    SB3 asks for the log-probability of what was done and then for the entropy: where a gradient is wanted, the first
    computes both.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self._entropy: Tensor | None = None

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log p(a), [B] nats, for tokens [B]."""
        if not (torch.is_grad_enabled() and self.logits.requires_grad):
            return categorical.log_prob(self.logits, actions)
        log_prob, self._entropy = categorical.log_prob_and_entropy(self.logits, actions)
        return log_prob

    def entropy(self) -> Tensor:
        """H(p), [B] nats."""
        if self._entropy is None:
            anything = torch.zeros(len(self.logits), dtype=torch.long, device=self.logits.device)
            self._entropy = categorical.log_prob_and_entropy(self.logits, anything)[1]
        return self._entropy

    def sample(self) -> Tensor:
        """A token of each, [B], drawn by its probability."""
        return categorical.sample(self.logits)


class TorchCategorical(Categorical):
    """torch's own categoricals, whose divergence can be differentiated twice, but for how samples are drawn."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:  # noqa: ARG002  # torch's signature
        """A token of each, [B], drawn by its probability."""
        return categorical.sample(self.logits)


class LargeCategoricalDistribution(CategoricalDistribution):
    """What a policy of SB3 or sb3-contrib acts with: `LargeCategorical` behind their interface.

    Args:
        action_dim: V.
        head: makes the logits; SB3's linear layer if None.
    """

    distribution: LargeCategorical | TorchCategorical  # type: ignore[assignment]

    def __init__(self, action_dim: int, head: nn.Module | None = None) -> None:
        super().__init__(action_dim)
        self._head = head

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """What makes logits [B, V] of latents [B, latent_dim]."""
        return super().proba_distribution_net(latent_dim) if self._head is None else self._head

    def proba_distribution(self, action_logits: Tensor) -> "LargeCategoricalDistribution":
        """Take these logits, [B, V]."""
        self.distribution = LargeCategorical(action_logits)
        return self

    def mode(self) -> Tensor:
        """The most probable token of each row, [B]."""
        return self.distribution.logits.argmax(dim=1)

    def apply_masking(self, masks: NDArray[np.bool_] | Tensor) -> None:
        """Let only these tokens be said, [B, V]: what sb3-contrib's maskable policies ask for."""
        logits = self.distribution.logits
        allowed = torch.as_tensor(masks, dtype=torch.bool, device=logits.device).reshape(logits.shape)
        self.proba_distribution(torch.where(allowed, logits, -torch.inf))


class TorchCategoricalDistribution(LargeCategoricalDistribution):
    """What TRPO's policies act with: `TorchCategorical` behind SB3's interface."""

    def proba_distribution(self, action_logits: Tensor) -> "TorchCategoricalDistribution":
        """Take these logits, [B, V]."""
        self.distribution = TorchCategorical(action_logits)
        return self
