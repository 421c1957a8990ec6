"""Wrap `categorical.py` in the distribution interface of SB3 and sb3-contrib."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import CategoricalDistribution
from torch import Tensor, nn
from torch.distributions import Distribution, register_kl

from agents.policies import categorical
from agents.policies.streamed import Logits, StreamedLogits


class LargeCategorical(Distribution):
    """Categorical distributions with logits [B, V], evaluated lazily.

    SB3 calls `log_prob` and then `entropy`; if gradients are enabled, the first call computes both.
    """

    def __init__(self, logits: Logits) -> None:
        super().__init__(logits.shape[:1], validate_args=False)
        self._logits = logits
        self._entropy: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """Logits, [B, V]."""
        if isinstance(self._logits, StreamedLogits):
            self._logits = self._logits.whole()
        return self._logits

    def log_prob(self, actions: Tensor) -> Tensor:
        """Return log p(a), [B] nats, of token ids [B]."""
        if not (torch.is_grad_enabled() and self._logits.requires_grad):
            return categorical.log_prob(self.logits, actions)
        log_prob, self._entropy = self._log_prob_and_entropy(actions)
        return log_prob

    def _log_prob_and_entropy(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self._logits, StreamedLogits):
            return self._logits.log_prob_and_entropy(actions)
        return categorical.log_prob_and_entropy(self._logits, actions)

    def entropy(self) -> Tensor:
        """Return the entropy of each row, [B] nats."""
        if self._entropy is None:
            any_actions = torch.zeros(self._logits.shape[0], dtype=torch.long, device=self._logits.device)
            self._entropy = self._log_prob_and_entropy(any_actions)[1]
        return self._entropy

    def sample(self, sample_shape: Any = ()) -> Tensor:  # noqa: ARG002  # torch's signature
        """Sample one token id per row, [B]."""
        return categorical.sample(self.logits)


@register_kl(LargeCategorical, LargeCategorical)  # type: ignore[no-untyped-call, untyped-decorator]
def _kl_divergence(p: LargeCategorical, q: LargeCategorical) -> Tensor:  # TRPO's constraint
    return categorical.kl_divergence(p.logits, q.logits)


class LargeCategoricalDistribution(CategoricalDistribution):
    """Action distribution of the fast and tied policies: `LargeCategorical` behind SB3's interface.

    Args:
        action_dim: Number of tokens, V.
        head: Module that computes the logits; None for SB3's linear layer.
    """

    distribution: LargeCategorical  # type: ignore[assignment]

    def __init__(self, action_dim: int, head: nn.Module | None = None) -> None:
        super().__init__(action_dim)
        self._head = head

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """Return the module that maps latents [B, latent_dim] to logits [B, V]."""
        return super().proba_distribution_net(latent_dim) if self._head is None else self._head

    def proba_distribution(self, action_logits: Logits) -> "LargeCategoricalDistribution":
        """Set the logits, [B, V], and return this object."""
        self.distribution = LargeCategorical(action_logits)
        return self

    def mode(self) -> Tensor:
        """Return the most probable token id of each row, [B]."""
        return self.distribution.logits.argmax(dim=1)

    def apply_masking(self, masks: NDArray[np.bool_] | Tensor) -> None:
        """Allow only the tokens whose mask is true, [B, V]; sb3-contrib's maskable policies call this."""
        logits = self.distribution.logits
        allowed = torch.as_tensor(masks, dtype=torch.bool, device=logits.device).reshape(logits.shape)
        self.proba_distribution(torch.where(allowed, logits, -torch.inf))
