"""Say tokens by what they mean: logits tied to the vectors of the language, starting from its bigram probabilities.

With the last token a, the meanings X that are seen, and h, what the network makes of the observation, the logit of
token b is

    z_b = l_b - Σ_i c_i max(0, -k_i - l_b) + (A X + B h)·o_b + e_b,    l_b = log p(b|a).

l is the language's, as fine-tuning starts from a language model; o_b are its output vectors. A, B, c and e are
learned from reward alone and start at 0, so that an untrained policy says what the language would. The bends c_i at
fixed places k_i let it learn from which surprisal on a token is not worth saying. Neither α, λ, τ nor the payment of
words is told it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

from agents.large_categorical import LargeCategoricalDistribution
from token_env.dynamics import Dynamics

BENDS = (2.5, 3.25, 4.0, 4.75, 5.5, 6.25)  # k_i, nats below certainty
# Adam moves every parameter equally fast; these are stored divided by so much, and so learned that much faster.
FASTER_MEANINGS, FASTER_BENDS = 40.0, 10.0


class Prior(NamedTuple):
    """What a policy knows of the language: how likely tokens are after one another, not what they pay."""

    output: NDArray[np.float64]  # [V, d]
    log_unigram: NDArray[np.float64]  # [V]
    context_length: float  # of the longest context vector, by which those in observations are divided
    words: int  # k + 1, meanings in an observation


def prior_of(dynamics: Dynamics) -> Prior:
    """The prior of the language that is spoken."""
    language = dynamics.language
    longest = float(np.linalg.norm(language.context, axis=1).max())
    return Prior(language.output, language.log_unigram, longest, dynamics.task.lookahead + 1)


class TiedHead(nn.Module):
    """The formula above.

    Args:
        hidden: H, units of h.
        prior: of the language.
    """

    def __init__(self, hidden: int, prior: Prior) -> None:
        super().__init__()
        vocab_size, d = prior.output.shape
        self.hidden, self.context_length = hidden, prior.context_length
        self.seen = slice(hidden + d, hidden + d + prior.words * d)  # where meanings stand
        for name, array in (("output", prior.output.T), ("log_unigram", prior.log_unigram)):
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(array), dtype=torch.float32), persistent=False)
        self.of_meanings = nn.Parameter(torch.zeros(prior.words * d, d))  # A
        self.of_hidden = nn.Parameter(torch.zeros(hidden, d))  # B
        self.bends = nn.Parameter(torch.zeros(len(BENDS)))  # c
        self.bias = nn.Parameter(torch.zeros(vocab_size))  # e
        self.output: Tensor
        self.log_unigram: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """Logits [N, V] of h and the observation side by side, [N, H + D]."""
        h, context = latent[:, : self.hidden], latent[:, self.hidden : self.seen.start]
        context = self.context_length * context
        scores = torch.addmm(self.log_unigram, context, self.output)
        log_p = scores - scores.logsumexp(dim=1, keepdim=True)
        query = FASTER_MEANINGS * latent[:, self.seen] @ self.of_meanings + h @ self.of_hidden
        logits = torch.addmm(self.bias, query, self.output) + log_p
        for place, bend in zip(BENDS, FASTER_BENDS * self.bends, strict=True):
            logits = logits - bend * torch.relu(-place - log_p)
        return logits


class WithObservation(MlpExtractor):
    """SB3's networks, of which the policy's hands the observation on beside what it made of it."""

    def __init__(self, feature_dim: int, **keywords: Any) -> None:
        super().__init__(feature_dim, **keywords)
        self.hidden = self.latent_dim_pi
        self.latent_dim_pi += feature_dim

    def forward_actor(self, features: Tensor) -> Tensor:
        """What the network made of the observation, and the observation, [N, H + D]."""
        return torch.cat([super().forward_actor(features), features], dim=1)


class TiedDistribution(LargeCategoricalDistribution):
    """The distribution whose logits a `TiedHead` makes."""

    def __init__(self, action_space: spaces.Discrete, hidden: int, prior: Prior) -> None:
        super().__init__(int(action_space.n))
        self.hidden, self.prior = hidden, prior

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:  # noqa: ARG002  # SB3's signature
        """The head, for latents [N, latent_dim]."""
        return TiedHead(self.hidden, self.prior)
