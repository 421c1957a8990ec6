"""Say tokens by what they mean: logits tied to the vectors of the language, starting from its bigram probabilities.

With the last token a, the meanings X that are seen, and h, what the network makes of the observation, the logit of
token b is

    z_b = l_b - Σ_i c_i max(0, -k_i - l_b) + (A X + B h)·o_b + e_b,    l_b = log p(b|a).

l is the language's, as fine-tuning starts from a language model; o_b are its output vectors. A, B, c and e are
learned from reward alone and start at 0, so that an untrained policy says what the language would. The bends c_i at
fixed places k_i let it learn from which surprisal on a token is not worth saying. Neither α, λ, τ nor the payment of
words is told it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

from agents.policies.categorical import chunks
from token_env.rules.dynamics import Dynamics

FIRST_BEND, NEXT_BEND, BENDS = 2.5, 0.75, 6  # k_i = 2.5, 3.25, … 6.25 nats below certainty
# Adam moves every parameter equally fast; these are stored divided by so much, and so learned that much faster.
FASTER_MEANINGS, FASTER_BENDS = 40.0, 100.0


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
        self.bends = nn.Parameter(torch.zeros(BENDS))  # c
        self.bias = nn.Parameter(torch.zeros(vocab_size))  # e
        self.output: Tensor
        self.log_unigram: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """Logits [N, V] of h and the observation side by side, [N, H + D]."""
        return tied_logits(*self.parts(latent))

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor, "Bigrams"]:
        """What `tied_logits` makes them from."""
        h, context = latent[:, : self.hidden], latent[:, self.hidden : self.seen.start]
        query = FASTER_MEANINGS * latent[:, self.seen] @ self.of_meanings + h @ self.of_hidden
        curve = torch.cat([self.bends.new_ones(1), -FASTER_BENDS * self.bends])
        return query, self.bias, curve, Bigrams(self.context_length * context, self.output, self.log_unigram)


class PlainTiedHead(TiedHead):
    """The same logits by plain operators only, which exporters can follow."""

    def forward(self, latent: Tensor) -> Tensor:
        """Logits [N, V] of h and the observation side by side, [N, H + D]."""
        query, bias, curve, bigrams = self.parts(latent)
        log_p = bigrams.log_p(slice(None))
        logits = torch.addmm(bias, query, bigrams.output) + curve[0] * log_p
        for bend in range(BENDS):
            logits = logits + curve[1 + bend] * torch.relu(-log_p - (FIRST_BEND + bend * NEXT_BEND))
        return logits


class Bigrams(NamedTuple):
    """What log p(b|a) is made from, for N rows."""

    context: Tensor  # [N, d] of the last tokens
    output: Tensor  # [d, V]
    log_unigram: Tensor  # [V]

    def log_p(self, rows: slice) -> Tensor:
        """Log p(b|a) of these rows, [n, V], a fresh array."""
        return torch.addmm(self.log_unigram, self.context[rows], self.output).log_softmax(dim=1)


def tied_logits(query: Tensor, bias: Tensor, curve: Tensor, bigrams: Bigrams) -> Tensor:
    """Logits query·o_b + bias_b + curve_0 l_b + Σ_i curve_i max(0, -k_i - l_b), [N, V]; differentiable.

    Args:
        query: [N, d].
        bias: [V].
        curve: [1 + BENDS] the slope above the first bend, and what each bend adds to the depth below it.
        bigrams: what l is made from; no gradient goes there.
    """
    logits: Tensor = _Tied.apply(query, bias, curve, bigrams)  # type: ignore[no-untyped-call]
    return logits


class _Tied(torch.autograd.Function):
    """Linear in query, bias and curve.

    Of the N × V numbers on the way nothing is kept: a few rows at a time, they are made anew for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, bias: Tensor, curve: Tensor, bigrams: Bigrams) -> Tensor:
        ctx.bigrams = bigrams
        logits = torch.addmm(bias, query, bigrams.output)
        slope, *coefficients = curve.tolist()
        for rows in chunks(logits):
            log_p = bigrams.log_p(rows)
            logits[rows].add_(log_p, alpha=slope)
            for coefficient, depth in zip(coefficients, _depths(log_p), strict=True):
                logits[rows].add_(depth, alpha=coefficient)
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*_TiedAdjoint.apply(gradients[0], ctx.bigrams), None)  # type: ignore[no-untyped-call]


class _TiedAdjoint(torch.autograd.Function):
    """The gradients of query, bias and curve from that of the logits; linear too, and its gradient is `_Tied`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, bigrams: Bigrams) -> tuple[Tensor, Tensor, Tensor]:
        ctx.bigrams = bigrams
        of_curve = gradient.new_zeros(1 + BENDS)
        for rows in chunks(gradient):
            log_p = bigrams.log_p(rows)
            of_curve[0] += _product(gradient[rows], log_p)
            for bend, depth in enumerate(_depths(log_p), 1):
                of_curve[bend] += _product(gradient[rows], depth)
        return gradient @ bigrams.output.T, gradient.sum(dim=0), of_curve

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _Tied.apply(*gradients, ctx.bigrams), None  # type: ignore[no-untyped-call]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Σ a·b over all elements; `torch.dot` is ten times slower where products go through oneDNN."""
    return torch.linalg.vecdot(a, b).sum()


def _depths(log_p: Tensor) -> Iterator[Tensor]:
    """How far log p lies below each bend, max(0, -k_i - l), one bend after the other; log p is lost."""
    depth = log_p.neg_().sub_(FIRST_BEND).clamp_(min=0)
    yield depth
    for _ in range(1, BENDS):
        depth = nn.functional.softshrink(depth, NEXT_BEND)  # max(0, x - λ), as nothing is below 0
        yield depth


class WithObservation(MlpExtractor):
    """SB3's networks, of which the policy's hands the observation on beside what it made of it.

    Args:
        feature_dim: columns of the features.
        observed: D, how many of them, the first, are the observation.
        **keywords: as SB3's takes them.
    """

    def __init__(self, feature_dim: int, observed: int, **keywords: Any) -> None:
        super().__init__(feature_dim, **keywords)
        self.observed, self.hidden = observed, self.latent_dim_pi
        self.latent_dim_pi += observed

    def forward_actor(self, features: Tensor) -> Tensor:
        """What the network made of the features, and the observation, [N, H + D]."""
        return torch.cat([super().forward_actor(features), features[:, : self.observed]], dim=1)
