"""Compute logits that are tied to the language's token vectors and start at its bigram log-probabilities.

With the previous token a, the meanings X in the observation and the policy network's output h, the logit of token b is

    z_b = l_b - Σ_i c_i max(0, -k_i - l_b) + (A X + B h)·o_b + e_b,    l_b = log p(b|a).

l and the output vectors o_b belong to the language, as fine-tuning starts from a language model. A, B, c and e are
learned from reward alone. They start at 0, so that the untrained policy samples from the language. The coefficients
c_i act where the surprisal -l exceeds the fixed k_i: they learn the surprisal above which a token does not pay. The
head knows neither α, λ, τ nor the rewards of words.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

from agents.policies.categorical import chunks
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.task import Task

FIRST_BEND, BEND_SPACING, BENDS = 2.5, 0.75, 6  # k_i = 2.5, 3.25, … 6.25 nats of surprisal
# Adam moves every parameter equally fast; A and c are stored divided by these factors, which multiplies their
# learning rates.
MEANINGS_LR_MULTIPLIER, BENDS_LR_MULTIPLIER = 40.0, 100.0


class Prior(NamedTuple):
    """Arrays of the language that define its bigram probabilities; they contain nothing about rewards."""

    output: NDArray[np.float64]  # [V, d] output vectors
    log_unigram: NDArray[np.float64]  # [V] nats
    context_length: float  # norm of the longest context vector; observations are divided by it
    words: int  # k + 1, number of meanings in an observation


def language_prior(language: Language, lookahead: int = Task.lookahead) -> Prior:
    """Return the arrays of a language that a tied policy needs, for `policy_kwargs={"prior": …}`.

    Args:
        language: Language of the environment: `env.unwrapped.language`, or `env.get_attr("language")[0]` of a `VecEnv`.
        lookahead: k, number of observed meanings after the one that is due, as in the environment.
    """
    longest = float(np.linalg.norm(language.context, axis=1).max())
    return Prior(language.output, language.log_unigram, longest, lookahead + 1)


def check_columns(prior: Prior, columns: int, actions: int) -> None:
    """Check that a prior fits an environment's number of observation columns and of actions.

    Raises:
        SettingError: It is the prior of another vocabulary, lookahead or kind of observation.
    """
    vocab_size, d = prior.output.shape
    if actions != vocab_size:
        raise SettingError(
            f"the prior is of a language of {vocab_size} tokens, but the environment has {actions} actions."
        )
    others = columns - (prior.words + 1) * d - prior.words  # the clock; return so far and Φ with some rewards
    if not 1 <= others <= 3:
        raise SettingError(
            f"the prior is of observations of kind features with lookahead={prior.words - 1}, which do not have "
            f"{columns} columns; type language_prior(language, lookahead=…) as in the environment."
        )


class TiedHead(nn.Module):
    """Module that computes the formula at the top of this file.

    Args:
        hidden: Number of units of h, H.
        prior: Arrays of the language.
    """

    def __init__(self, hidden: int, prior: Prior) -> None:
        super().__init__()
        vocab_size, d = prior.output.shape
        self.hidden, self.context_length = hidden, prior.context_length
        self.meaning_columns = slice(hidden + d, hidden + d + prior.words * d)
        for name, array in (("output", prior.output.T), ("log_unigram", prior.log_unigram)):
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(array), dtype=torch.float32), persistent=False)
        self.of_meanings = nn.Parameter(torch.zeros(prior.words * d, d))  # A
        self.of_hidden = nn.Parameter(torch.zeros(hidden, d))  # B
        self.bends = nn.Parameter(torch.zeros(BENDS))  # c
        self.bias = nn.Parameter(torch.zeros(vocab_size))  # e
        self.output: Tensor
        self.log_unigram: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """Return logits [N, V] of latents [N, H + D], the concatenation of h and the observation."""
        return tied_logits(*self.parts(latent))

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor, "Bigrams"]:
        """Return the arguments of `tied_logits` for latents [N, H + D]: query, bias, curve and bigrams."""
        h, context = latent[:, : self.hidden], latent[:, self.hidden : self.meaning_columns.start]
        meanings = MEANINGS_LR_MULTIPLIER * latent[:, self.meaning_columns]
        query = meanings @ self.of_meanings + h @ self.of_hidden
        curve = torch.cat([self.bends.new_ones(1), -BENDS_LR_MULTIPLIER * self.bends])
        return query, self.bias, curve, Bigrams(self.context_length * context, self.output, self.log_unigram)


class PlainTiedHead(TiedHead):
    """`TiedHead` in plain torch operators only, which exporters can trace."""

    def forward(self, latent: Tensor) -> Tensor:
        """Return logits [N, V] of latents [N, H + D], the concatenation of h and the observation."""
        query, bias, curve, bigrams = self.parts(latent)
        log_p = bigrams.log_p(slice(None))
        logits = torch.addmm(bias, query, bigrams.output) + curve[0] * log_p
        for bend in range(BENDS):
            logits = logits + curve[1 + bend] * torch.relu(-log_p - (FIRST_BEND + bend * BEND_SPACING))
        return logits


class Bigrams(NamedTuple):
    """The tensors that define log p(b|a) of N rows."""

    context: Tensor  # [N, d] context vectors of the previous tokens
    output: Tensor  # [d, V] output vectors, transposed
    log_unigram: Tensor  # [V] nats

    def log_p(self, rows: slice) -> Tensor:
        """Return log p(b|a) of these rows, a new tensor [n, V], in nats."""
        return torch.addmm(self.log_unigram, self.context[rows], self.output).log_softmax(dim=1)


def tied_logits(query: Tensor, bias: Tensor, curve: Tensor, bigrams: Bigrams) -> Tensor:
    """Return logits [N, V]: query·o_b + bias_b + curve_0 l_b + Σ_i curve_i max(0, -k_i - l_b); differentiable.

    Args:
        query: Query vectors [N, d].
        bias: Bias of each token [V].
        curve: Slopes [1 + BENDS]: that of l, then the change below each bend.
        bigrams: Tensors that define l; they receive no gradient.
    """
    logits: Tensor = _Tied.apply(query, bias, curve, bigrams)  # type: ignore[no-untyped-call]
    return logits


class _Tied(torch.autograd.Function):
    """Logits as a linear function of query, bias and curve.

    No intermediate array of N × V elements is saved: the backward pass recomputes them, a few rows at a time.
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
    """Adjoint of `_Tied`: gradients of query, bias and curve from that of the logits; its own gradient is `_Tied`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, bigrams: Bigrams) -> tuple[Tensor, Tensor, Tensor]:
        ctx.bigrams = bigrams
        curve_gradient = gradient.new_zeros(1 + BENDS)
        for rows in chunks(gradient):
            log_p = bigrams.log_p(rows)
            curve_gradient[0] += _dot(gradient[rows], log_p)
            for bend, depth in enumerate(_depths(log_p), 1):
                curve_gradient[bend] += _dot(gradient[rows], depth)
        return gradient @ bigrams.output.T, gradient.sum(dim=0), curve_gradient

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _Tied.apply(*gradients, ctx.bigrams), None  # type: ignore[no-untyped-call]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ a·b over all elements; `torch.dot` is ten times slower if oneDNN multiplies matrices."""
    return torch.linalg.vecdot(a, b).sum()


def _depths(log_p: Tensor) -> Iterator[Tensor]:
    """Yield max(0, -k_i - l) for each bend i; overwrites log p."""
    depth = log_p.neg_().sub_(FIRST_BEND).clamp_(min=0)
    yield depth
    for _ in range(1, BENDS):
        depth = nn.functional.softshrink(depth, BEND_SPACING)  # equals max(0, x - λ), because x ≥ 0
        yield depth


class SkipMlpExtractor(MlpExtractor):
    """SB3's `MlpExtractor` with a skip connection: the policy's latent is followed by the observation.

    Args:
        feature_dim: Number of feature columns.
        observation_dim: Number of observation columns, D; they are the first feature columns.
        **keywords: Other arguments of `MlpExtractor`.
    """

    def __init__(self, feature_dim: int, observation_dim: int, **keywords: Any) -> None:
        super().__init__(feature_dim, **keywords)
        self.observation_dim, self.hidden = observation_dim, self.latent_dim_pi
        self.latent_dim_pi += observation_dim

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return the policy network's output and the observation, concatenated, [N, H + D]."""
        return torch.cat([super().forward_actor(features), features[:, : self.observation_dim]], dim=1)
