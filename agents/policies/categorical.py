"""Compute with categoricals over thousands of tokens: log-probability and entropy, samples, the most probable token.

A token that may not be said has the logit -∞: its probability is 0, it adds nothing to the entropy and gets no
gradient. Letters: B rows, V tokens.
"""

from typing import Any

import torch
from torch import Tensor

from agents.policies.activations import exp

CHUNK_ELEMENTS = 65_536  # worked on at a time on a CPU, so that what is needed beside the logits stays in its cache
WITHOUT_FLOAT64 = ("mps",)  # kinds of devices
SMALLEST = torch.finfo(torch.float32).tiny
LEAST = -1e30  # stands for -∞, which times 0 would be no number


def log_prob_and_entropy(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Log p(a) and the entropy H of categoricals, [B] each, in nats, with one analytic gradient for both.

    With p = softmax(z): ∂ log p(a) / ∂z_j = 1[j = a] - p_j and ∂H / ∂z_j = -p_j (log p_j + H). The gradient is the only
    thing as large as the logits that is made.

    Args:
        logits: [B, V] unnormalised log-probabilities, -∞ for what may not be said; at least one a row is finite.
        actions: [B] tokens.
    """
    log_prob, entropy = _LogProbAndEntropy.apply(logits, actions)  # type: ignore[no-untyped-call]
    return log_prob, entropy


def log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """Log p(a), [B] nats, for logits [B, V] and tokens [B]; for where no gradient is needed."""
    return logits.log_softmax(dim=1).gather(1, actions[:, None]).squeeze(1)


def sample(logits: Tensor) -> Tensor:
    """A token of each categorical, [B], for logits [B, V]; never one whose logit is -∞.

    By inverse CDF in float64, which draws one random number a row. Where a device has no float64 by the
    exponential race argmax p_j / E_j, which draws V.
    """
    weights = logits.softmax(dim=1)
    if logits.device.type in WITHOUT_FLOAT64:
        waits = torch.empty_like(weights).exponential_().clamp_(min=SMALLEST)  # 0 / 0 is nan, which argmax takes
        return (weights / waits).argmax(dim=1)
    cdf = weights.double().cumsum(dim=1)
    total = cdf[:, -1:].contiguous()
    drawn = torch.rand(len(cdf), 1, dtype=torch.float64, device=cdf.device) * total
    last = torch.searchsorted(cdf, total)  # that has a probability, where rounding leads up to the whole
    return torch.minimum(torch.searchsorted(cdf, drawn, right=True), last).squeeze(1)


class _LogProbAndEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        normalizer, entropy = logits.new_empty(len(logits)), logits.new_empty(len(logits))
        for rows in chunks(logits):
            largest = logits[rows].amax(dim=1)
            shifted = (logits[rows] - largest[:, None]).clamp_(min=LEAST)
            weights = exp(shifted)
            total = weights.sum(dim=1)
            normalizer[rows] = largest + total.log()
            entropy[rows] = total.log() - torch.linalg.vecdot(weights, shifted) / total
        ctx.save_for_backward(logits, actions, normalizer, entropy)
        return logits.gather(1, actions[:, None]).squeeze(1) - normalizer, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, actions, normalizer, entropy = ctx.saved_tensors
        of_log_prob, of_entropy = gradients
        gradient = torch.empty_like(logits)
        for rows in chunks(logits):
            log_p = torch.sub(logits[rows], normalizer[rows, None], out=gradient[rows]).clamp_(min=LEAST)
            p = exp(log_p)
            log_p.add_(entropy[rows, None]).mul_(of_entropy[rows, None]).add_(of_log_prob[rows, None]).mul_(p).neg_()
        gradient.scatter_add_(1, actions[:, None], of_log_prob[:, None])
        return gradient, None


def chunks(logits: Tensor) -> list[slice]:
    """Rows to be worked on at a time: all of them but on a CPU."""
    size = max(1, CHUNK_ELEMENTS // logits.shape[1]) if logits.device.type == "cpu" else max(1, len(logits))
    return [slice(first, first + size) for first in range(0, len(logits), size)]
