"""Compute log-probabilities, entropies and samples of categorical distributions over thousands of tokens.

A masked token has the logit -∞: its probability is 0, and it contributes nothing to entropy or gradient.
Letters: B rows, V tokens.
"""

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from agents.policies.activations import exp

CHUNK_ELEMENTS = 65_536  # elements per chunk on a CPU, so that temporary arrays fit into its cache
WITHOUT_FLOAT64 = ("mps",)  # device types without float64
SMALLEST_FLOAT32 = torch.finfo(torch.float32).tiny
MIN_LOG_PROB = -1e30  # replaces -∞, because 0 × -∞ is nan


def log_prob_and_entropy(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p(a) and the entropy H of each row, [B] nats each, with one analytic gradient for both.

    With p = softmax(z): ∂ log p(a) / ∂z_j = 1[j = a] - p_j and ∂H / ∂z_j = -p_j (log p_j + H). The weights of p and the
    gradient are the only arrays of the logits' size that are allocated.

    Args:
        logits: Unnormalised log-probabilities [B, V], -∞ for masked tokens; at least one of each row is finite.
        actions: Token ids [B].
    """
    if is_compiling():
        log_p = logits.log_softmax(dim=1).clamp(min=MIN_LOG_PROB)
        return log_p.gather(1, actions[:, None]).squeeze(1), -(log_p.exp() * log_p).sum(dim=1)
    log_prob, entropy = _LogProbAndEntropy.apply(logits, actions)  # type: ignore[no-untyped-call]
    return log_prob, entropy


def log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """Return log p(a), [B] nats, of logits [B, V] and token ids [B]; for use without gradients."""
    return logits.log_softmax(dim=1).gather(1, actions[:, None]).squeeze(1)


def kl_divergence(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Return the KL divergence Σ_j p_j (log p_j - log q_j) of each row, [B] nats; twice differentiable.

    A token with probability 0 in p contributes nothing; one with probability 0 in q alone makes the result huge.

    Args:
        logits: Logits [B, V] of p.
        other_logits: Logits [B, V] of q.
    """
    log_p, log_q = (z.log_softmax(dim=1).clamp(min=MIN_LOG_PROB) for z in (logits, other_logits))
    return (logits.softmax(dim=1) * (log_p - log_q)).sum(dim=1)


def sample(logits: Tensor) -> Tensor:
    """Sample one token id per row, [B], from logits [B, V]; a token with logit -∞ is never sampled.

    Inverts the CDF in float64, with one random number per row. Devices without float64 use the exponential race
    argmax p_j / E_j, with V random numbers per row.
    """
    weights = logits.softmax(dim=1)
    if logits.device.type in WITHOUT_FLOAT64:
        # clamped, because argmax would choose 0 / 0, a nan
        waits = torch.empty_like(weights).exponential_().clamp_(min=SMALLEST_FLOAT32)
        return (weights / waits).argmax(dim=1)
    cdf = weights.double().cumsum(dim=1)
    total = cdf[:, -1:].contiguous()
    quantile = torch.rand(len(cdf), 1, dtype=torch.float64, device=cdf.device) * total
    # last token with p > 0, in case rounding makes the quantile the total; of nan, the last of all
    last = torch.searchsorted(cdf, total).clamp_(max=cdf.shape[1] - 1)
    return torch.minimum(torch.searchsorted(cdf, quantile, right=True), last).squeeze(1)


class _LogProbAndEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        largest, weights = logits.amax(dim=1, keepdim=True), torch.empty_like(logits)  # weights: p × total
        total, moment = logits.new_empty(len(logits)), logits.new_empty(len(logits))
        for rows in chunks(logits):
            shifted = (logits[rows] - largest[rows]).clamp_(min=MIN_LOG_PROB)
            exp(shifted, out=weights[rows])
            torch.sum(weights[rows], dim=1, out=total[rows])
            torch.linalg.vecdot(weights[rows], shifted, out=moment[rows])
        normalizer = largest.squeeze(1) + total.log()
        entropy = total.log() - moment / total
        ctx.save_for_backward(logits, actions, weights, total, normalizer, entropy)
        return logits.gather(1, actions[:, None]).squeeze(1) - normalizer, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, actions, weights, total, normalizer, entropy = ctx.saved_tensors
        d_log_prob, d_entropy = gradients
        # the gradient is p (slope × log p + offset), without the term of the action
        slope, offset = -d_entropy / total, -(d_entropy * entropy + d_log_prob) / total
        gradient = torch.empty_like(logits)
        for rows in chunks(logits):
            log_p = torch.sub(logits[rows], normalizer[rows, None], out=gradient[rows]).clamp_(min=MIN_LOG_PROB)
            log_p.mul_(slope[rows, None]).add_(offset[rows, None]).mul_(weights[rows])
        gradient.scatter_add_(1, actions[:, None], d_log_prob[:, None])
        return gradient, None


def chunks(logits: Tensor) -> list[slice]:
    """Return slices of rows to process at a time: chunks of `CHUNK_ELEMENTS` on a CPU, all rows elsewhere."""
    size = max(1, CHUNK_ELEMENTS // logits.shape[1]) if logits.device.type == "cpu" else max(1, len(logits))
    return [slice(first, first + size) for first in range(0, len(logits), size)]
