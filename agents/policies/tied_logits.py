"""Compute what a token is worth at once: logits that start at a language's bigram log-probabilities.

With the previous token a and a query vector y, the immediate logit of token b is

    z_b = l_b - Σ_i c_i max(0, s_b - k_i) + y·o_b,

where l_b = log p(b|a) and its surprisal s_b, both in nats, and the output vector o_b belong to the language. The slopes
c_i and the places k_i of the bends are learned: together they form any piecewise linear function of the surprisal.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling

from agents.policies.categorical import chunks
from agents.policies.streamed import StreamedLogits


class Bigrams(NamedTuple):
    """The tensors that define l and s of N rows; they receive no gradient."""

    context: Tensor  # [N, d] context vectors of the previous tokens
    output: Tensor  # [d, V] output vectors, transposed
    log_unigram: Tensor  # [V] nats
    leniency: Tensor  # [V] -l - s, nats: rare words are less surprising than improbable
    normalizer: Tensor | None = None  # [N] nats, of the whole vocabulary if these V tokens are only a part of it

    def log_p(self, rows: slice, out: Tensor | None = None) -> Tensor:
        """Return log p(b|a) of these rows, [n, V], in nats: a new tensor, or `out`."""
        scores = torch.addmm(self.log_unigram, self.context[rows], self.output)
        if self.normalizer is None:
            return torch.log_softmax(scores, dim=1, out=out)
        return torch.sub(scores, self.normalizer[rows, None], out=out)

    def limits(self, places: Tensor) -> Tensor:
        """Return m_i of each token, [bends, V] nats: l is below it where s is beyond k_i."""
        return -(self.leniency + places[:, None])


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
    if is_compiling():
        return plain_immediate_logits(query, slopes, places, bigrams)
    logits: Tensor = _Immediate.apply(query, slopes, places, bigrams)  # type: ignore[no-untyped-call]
    return logits


def plain_immediate_logits(query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> Tensor:
    """Return what `immediate_logits` returns, in plain torch operators."""
    log_p = bigrams.log_p(slice(None))
    return query @ bigrams.output + bent(log_p, -log_p - bigrams.leniency, slopes, places)


def streamed_immediate_logits(query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> StreamedLogits:
    """Return what `immediate_logits` returns, computed by chunks of tokens."""
    per_token = bigrams.output.T, bigrams.log_unigram, bigrams.leniency

    def scores(_: slice, context: Tensor, output: Tensor, log_unigram: Tensor, *__: Tensor) -> Tensor:
        return torch.addmm(log_unigram, context, output.T)

    normalizer = StreamedLogits(scores, len(query), (bigrams.context,), per_token).logsumexp()

    def logits(
        _: slice, query: Tensor, slopes: Tensor, places: Tensor, context: Tensor, normalizer: Tensor, *own: Tensor
    ) -> Tensor:
        output, log_unigram, leniency = own
        part = Bigrams(context, output.T, log_unigram, leniency, normalizer)
        return immediate_logits(query, slopes, places, part)

    return StreamedLogits(logits, len(query), (query, slopes, places, bigrams.context, normalizer), per_token)


class _Immediate(torch.autograd.Function):
    """Immediate logits; l is the only intermediate array of N × V elements.

    With m_i = -(k_i - l - s), a bend is c_i (min(l, m_i) - m_i): two operators an element instead of three.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, slopes: Tensor, places: Tensor, bigrams: Bigrams) -> Tensor:
        limits = bigrams.limits(places)
        logits = torch.addmm(-(slopes @ limits), query, bigrams.output)
        log_p = torch.empty_like(logits)
        for rows in chunks(logits):
            part = bigrams.log_p(rows, out=log_p[rows])
            target = logits[rows].add_(part)
            for slope, limit in zip(slopes, limits, strict=True):
                target.addcmul_(torch.minimum(part, limit), slope)
        ctx.bigrams = bigrams
        ctx.save_for_backward(slopes, places, log_p)
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*_Adjoint.apply(gradients[0], *ctx.saved_tensors, ctx.bigrams), None)  # type: ignore[no-untyped-call]


class _Adjoint(torch.autograd.Function):
    """Gradients of query, slopes and places from the gradient G of the logits; differentiable once."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, slopes: Tensor, places: Tensor, log_p: Tensor, bigrams: Bigrams
    ) -> tuple[Tensor, ...]:
        depths, beyond = torch.zeros_like(slopes), torch.zeros_like(slopes)  # Σ G max(0, s - k_i), Σ G 1[s > k_i]
        limits = bigrams.limits(places)
        for rows in chunks(gradient):
            for bend, limit in enumerate(limits):
                depth = (limit - log_p[rows]).clamp_(min=0)
                depths[bend] += _dot(gradient[rows], depth)
                beyond[bend] += _dot(gradient[rows], depth.sign_())
        ctx.bigrams = bigrams
        ctx.save_for_backward(slopes, places, log_p, beyond)
        return gradient @ bigrams.output.T, -depths, slopes * beyond

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_query, of_slopes, of_places = gradients
        slopes, places, log_p, beyond = ctx.saved_tensors
        result, steps = of_query @ ctx.bigrams.output, of_places * slopes
        limits = ctx.bigrams.limits(places)
        for rows in chunks(result):
            for limit, slope, step in zip(limits, of_slopes, steps, strict=True):
                depth = (limit - log_p[rows]).clamp_(min=0)
                result[rows].addcmul_(depth, slope, value=-1).addcmul_(depth.sign_(), step)
        return result, of_places * beyond, of_slopes * beyond, None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ a·b over all elements; `torch.dot` is ten times slower if oneDNN multiplies matrices."""
    return torch.linalg.vecdot(a, b).sum()
