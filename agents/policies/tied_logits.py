"""Compute what a token is worth at once: logits that start at a language's bigram log-probabilities.

With the previous token a and a query vector y, the immediate logit of token b is

    z_b = l_b - Σ_i c_i max(0, s_b - k_i) + y·o_b,

where l_b = log p(b|a) and its surprisal s_b, both in nats, and the output vector o_b belong to the language. The slopes
c_i and the places k_i of the bends are learned: together they form any piecewise linear function of the surprisal.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from agents.policies.categorical import chunks


class Bigrams(NamedTuple):
    """The tensors that define l and s of N rows; they receive no gradient."""

    context: Tensor  # [N, d] context vectors of the previous tokens
    output: Tensor  # [d, V] output vectors, transposed
    log_unigram: Tensor  # [V] nats
    leniency: Tensor  # [V] -l - s, nats: rare words are less surprising than improbable

    def log_p(self, rows: slice) -> Tensor:
        """Return log p(b|a) of these rows, a new tensor [n, V], in nats."""
        return torch.addmm(self.log_unigram, self.context[rows], self.output).log_softmax(dim=1)

    def surprisal(self, rows: slice) -> Tensor:
        """Return s(b|a) of these rows, a new tensor [n, V], in nats."""
        return self.log_p(rows).neg_().sub_(self.leniency)


def bent(log_p: Tensor, surprisal: Tensor, slopes: Tensor, places: Tensor) -> Tensor:
    """Return l - Σ_i c_i max(0, s - k_i), in the shape of log p and surprisal, in plain torch operators."""
    for slope, place in zip(slopes, places, strict=True):
        log_p = log_p - slope * torch.relu(surprisal - place)
    return log_p


def immediate_logits(query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> Tensor:
    """Return the immediate logits [N, V], twice differentiable.

    Args:
        query: Query vectors y, [N, d].
        slopes: c, [bends].
        places: k, [bends], nats.
        bigrams: Tensors that define l and s.
    """
    logits: Tensor = _Immediate.apply(query, slopes, places, bigrams)  # type: ignore[no-untyped-call]
    return logits


def plain_immediate_logits(query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> Tensor:
    """Return what `immediate_logits` returns, in plain torch operators."""
    log_p = bigrams.log_p(slice(None))
    return query @ bigrams.output + bent(log_p, -log_p - bigrams.leniency, slopes, places)


class _Immediate(torch.autograd.Function):
    """Immediate logits. No intermediate array of N × V elements is saved: the backward pass computes them again."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> Tensor:
        ctx.bigrams = bigrams
        ctx.save_for_backward(slopes, places)
        logits = query @ bigrams.output
        for rows in chunks(logits):
            log_p = bigrams.log_p(rows)
            logits[rows].add_(log_p)
            _subtract_bends(logits[rows], log_p.neg_().sub_(bigrams.leniency), slopes.tolist(), places.tolist())
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*_Adjoint.apply(gradients[0], *ctx.saved_tensors, ctx.bigrams), None)  # type: ignore[no-untyped-call]


class _Adjoint(torch.autograd.Function):
    """Gradients of query, slopes and places from the gradient G of the logits; differentiable once."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> tuple[Tensor, ...]:
        depths, beyond = torch.zeros_like(slopes), torch.zeros_like(slopes)  # Σ G max(0, s - k_i), Σ G 1[s > k_i]
        for rows in chunks(gradient):
            surprisal = bigrams.surprisal(rows)
            for bend, place in enumerate(places.tolist()):
                depth = (surprisal - place).clamp_(min=0)
                depths[bend] += _dot(gradient[rows], depth)
                beyond[bend] += _dot(gradient[rows], depth.sign_())
        ctx.bigrams = bigrams
        ctx.save_for_backward(slopes, places, beyond)
        return gradient @ bigrams.output.T, -depths, slopes * beyond

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_query, of_slopes, of_places = gradients
        slopes, places, beyond = ctx.saved_tensors
        result = of_query @ ctx.bigrams.output
        steps = (of_places * slopes).tolist()
        for rows in chunks(result):
            surprisal = ctx.bigrams.surprisal(rows)
            _subtract_bends(result[rows], surprisal, of_slopes.tolist(), places.tolist(), steps)
        return result, of_places * beyond, of_slopes * beyond, None


def _subtract_bends(
    target: Tensor, surprisal: Tensor, slopes: Sequence[float], places: Sequence[float], steps: Sequence[float] = ()
) -> None:
    """Subtract Σ_i slope_i max(0, s - k_i) from the target in place, and add Σ_i step_i 1[s > k_i]."""
    for bend, (slope, place) in enumerate(zip(slopes, places, strict=True)):
        depth = (surprisal - place).clamp_(min=0)
        target.sub_(depth, alpha=slope)
        if steps:
            target.add_(depth.sign_(), alpha=steps[bend])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ a·b over all elements; `torch.dot` is ten times slower if oneDNN multiplies matrices."""
    return torch.linalg.vecdot(a, b).sum()
