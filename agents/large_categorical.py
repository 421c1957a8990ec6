"""A distribution over thousands of tokens, in the place of SB3's categorical one; `heads.py` does the work."""

import torch
from stable_baselines3.common.distributions import CategoricalDistribution
from torch import Tensor

from agents import heads


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
            return heads.log_prob(self.logits, actions)
        log_prob, self._entropy = heads.log_prob_and_entropy(self.logits, actions)
        return log_prob

    def entropy(self) -> Tensor:
        """H(p), [B] nats."""
        if self._entropy is None:
            anything = torch.zeros(len(self.logits), dtype=torch.long, device=self.logits.device)
            self._entropy = heads.log_prob_and_entropy(self.logits, anything)[1]
        return self._entropy

    def sample(self) -> Tensor:
        """A token of each, [B], drawn by its probability."""
        return heads.sample(self.logits)

    def mode(self) -> Tensor:
        """The most probable token of each, [B]."""
        return self.logits.argmax(dim=1)


class LargeCategoricalDistribution(CategoricalDistribution):
    """What an SB3 policy acts with: `LargeCategorical` behind SB3's interface."""

    distribution: LargeCategorical  # type: ignore[assignment]

    def proba_distribution(self, action_logits: Tensor) -> "LargeCategoricalDistribution":
        """Take these logits, [B, V]."""
        self.distribution = LargeCategorical(action_logits)
        return self

    def mode(self) -> Tensor:
        """The most probable token of each row, [B]."""
        return self.distribution.mode()
