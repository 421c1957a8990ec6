"""Compute log-probabilities and entropies over very large vocabularies without an array of rows × tokens.

Logits are computed a chunk of tokens at a time: once for the log-probabilities, and again for the gradients.
Letters: N rows, V tokens, n tokens of a chunk.
"""

from collections.abc import Callable, Iterator
from typing import Any, Union

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from agents.policies.activations import exp
from agents.policies.bf16 import Bf16Linear
from agents.policies.categorical import MIN_LOG_PROB

STREAMED_TOKENS = 50_000  # vocabularies from here on are streamed where gradients are computed
STREAMED_ELEMENTS = 262_144  # elements of a chunk
SORTED_ELEMENTS = 16_777_216  # elements among which the highest are found at once; fewer take more time for each

# From tokens, tensors of all tokens and those of the chunk's own to logits [N, n].
ChunkFunction = Callable[..., Tensor]


def is_streamed(vocab_size: int) -> bool:
    """Return whether logits over this many tokens are `StreamedLogits` now: for gradients over a large vocabulary."""
    return torch.is_grad_enabled() and vocab_size >= STREAMED_TOKENS


Logits = Union[Tensor, "StreamedLogits"]  # [N, V]


class StreamedLogits:
    """Logits [N, V] that are computed by chunks.

    Args:
        function: Function of the slice of tokens, then of the shared tensors, then of the per-token tensors of the
            slice, that returns the logits [N, n] in torch operators.
        rows: Number of rows, N.
        shared: Tensors that every chunk depends on.
        per_token: Tensors [V, …] of which a chunk depends on its own part alone.
    """

    requires_grad = True

    def __init__(
        self, function: ChunkFunction, rows: int, shared: tuple[Tensor, ...], per_token: tuple[Tensor, ...]
    ) -> None:
        self.function, self.shared, self.per_token = function, shared, per_token
        self.shape = torch.Size([rows, len(per_token[0])])
        self.device = per_token[0].device

    def chunks(self) -> Iterator[slice]:
        """Yield slices that cover the vocabulary."""
        rows, vocab_size = self.shape
        step = max(1, STREAMED_ELEMENTS // rows)
        yield from (slice(first, min(first + step, vocab_size)) for first in range(0, vocab_size, step))

    def chunk(self, tokens: slice) -> Tensor:
        """Return the logits of these tokens, [N, n]."""
        return self.function(tokens, *self.shared, *(part[tokens] for part in self.per_token))

    def whole(self) -> Tensor:
        """Return all logits, [N, V], as one tensor."""
        return torch.cat([self.chunk(tokens) for tokens in self.chunks()], dim=1)

    def plus(self, ids: Tensor, gains: Tensor) -> "StreamedLogits":
        """Return logits to which gains, [N, K], are added for the tokens with these ids, [N, K]."""

        def function(tokens: slice, gains: Tensor, ids: Tensor, *others: Tensor) -> Tensor:
            part = self.function(tokens, *others)
            inside = (ids >= tokens.start) & (ids < tokens.stop)
            return part.scatter_add(1, (ids - tokens.start).clamp(0, part.shape[1] - 1), gains * inside)

        return StreamedLogits(function, self.shape[0], (gains, ids, *self.shared), self.per_token)

    def amax(self) -> Tensor:
        """Return the highest logit of each row, [N]; no gradients."""
        with torch.no_grad():
            return torch.stack([self.chunk(tokens).amax(dim=1) for tokens in self.chunks()]).amax(dim=0)

    def topk(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the highest logits of each row and their tokens, [N, count] each, the highest first; no gradients."""
        rows, vocab_size = self.shape
        best: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            block = torch.empty(rows, min(vocab_size, max(count, SORTED_ELEMENTS // rows)), device=self.device)
            first = 0  # token of the block's first column
            for tokens in self.chunks():
                if tokens.stop - first > block.shape[1]:
                    best.append(_topk(block[:, : tokens.start - first], count, first))
                    first = tokens.start
                block[:, tokens.start - first : tokens.stop - first] = self.chunk(tokens)
            best.append(_topk(block[:, : vocab_size - first], count, first))
            values, ids = (torch.cat(part, dim=1) for part in zip(*best, strict=True))
            values, places = values.topk(count, dim=1)
            return values, ids.gather(1, places)

    def logsumexp(self) -> Tensor:
        """Return log Σ e^z of each row, [N]; no gradients."""
        with torch.no_grad():
            parts = [self.chunk(tokens).logsumexp(dim=1) for tokens in self.chunks()]
        return torch.stack(parts).logsumexp(dim=0)

    def log_prob_and_entropy(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(a) and the entropy of each row, [N] nats each, of token ids [N]; differentiable once."""
        log_prob, entropy = _Streamed.apply(self, actions, *self.shared, *self.per_token)  # type: ignore[no-untyped-call]
        return log_prob, entropy


class _Streamed(torch.autograd.Function):
    """One analytic gradient of log p(a) and H, as in `categorical.py`, by chunks of tokens."""

    @staticmethod
    def forward(ctx: Any, logits: StreamedLogits, actions: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        rows = len(actions)
        largest, chosen = (torch.full((rows,), value, device=actions.device) for value in (MIN_LOG_PROB, 0.0))
        total, moment = torch.zeros_like(largest), torch.zeros_like(largest)  # Σ e^(z - largest), and that times z
        for tokens in logits.chunks():
            part = logits.chunk(tokens).clamp_(min=MIN_LOG_PROB)
            peak = torch.maximum(largest, part.amax(dim=1))
            scale, weights = exp(largest - peak), exp(part - peak[:, None])
            total.mul_(scale).add_(weights.sum(dim=1))
            moment.mul_(scale).add_(torch.linalg.vecdot(weights, part))
            chosen += _at(part, actions, tokens)
            largest = peak
        normalizer = largest + total.log()
        entropy = normalizer - moment / total
        ctx.logits = logits
        ctx.save_for_backward(actions, normalizer, entropy)
        return chosen - normalizer, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_log_prob, d_entropy = gradients
        actions, normalizer, entropy = ctx.saved_tensors
        logits: StreamedLogits = ctx.logits
        slope, offset = -d_entropy[:, None], -(d_entropy * entropy + d_log_prob)[:, None]
        of_shared = [torch.zeros_like(tensor) for tensor in logits.shared]
        of_tokens = [torch.zeros_like(tensor) for tensor in logits.per_token]
        wanted = ctx.needs_input_grad[2:]
        for tokens in logits.chunks():
            with torch.enable_grad():
                parts = [*logits.shared, *(tensor[tokens] for tensor in logits.per_token)]
                leaves = [part.detach().requires_grad_(needed) for part, needed in zip(parts, wanted, strict=True)]
                part = logits.function(tokens, *leaves)
            log_p = (part.detach() - normalizer[:, None]).clamp_(min=MIN_LOG_PROB)
            gradient = exp(log_p).mul_(log_p.mul_(slope).add_(offset))
            inside = (actions >= tokens.start) & (actions < tokens.stop)
            places = (actions - tokens.start).clamp(0, part.shape[1] - 1)
            gradient.scatter_add_(1, places[:, None], (d_log_prob * inside)[:, None])
            inputs = [leaf for leaf in leaves if leaf.requires_grad]
            found = iter(torch.autograd.grad(part, inputs, gradient))
            for index, leaf in enumerate(leaves):
                if leaf.requires_grad:
                    shared = index < len(of_shared)
                    target = of_shared[index] if shared else of_tokens[index - len(of_shared)][tokens]
                    target += next(found)
        results = [*of_shared, *of_tokens]
        return (None, None, *(result if needed else None for result, needed in zip(results, wanted, strict=True)))


def _topk(part: Tensor, count: int, first: int) -> tuple[Tensor, Tensor]:
    """Return what `topk` does, of the logits [N, n] of the tokens from `first` on; all n if there are fewer."""
    values, places = part.topk(min(count, part.shape[1]), dim=1)
    return values, places + first


def _at(part: Tensor, ids: Tensor, tokens: slice) -> Tensor:
    """Return the column of each row's token, [N], from columns of these tokens, [N, n]; 0 for tokens elsewhere."""
    inside = (ids >= tokens.start) & (ids < tokens.stop)
    return part.gather(1, (ids - tokens.start).clamp(0, part.shape[1] - 1)[:, None])[:, 0] * inside


def streamed_linear(layer: nn.Linear, inputs: Tensor) -> StreamedLogits:
    """Return the outputs of a linear layer, [N, V], of inputs [N, H]."""
    products = type(layer).products if isinstance(layer, Bf16Linear) else F.linear
    return StreamedLogits(lambda _, *parts: products(*parts), len(inputs), (inputs,), (layer.weight, layer.bias))
