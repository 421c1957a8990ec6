"""Add to a token's logit what it makes possible next, by soft value iteration over shortlists.

For the K tokens b with the highest logits z, and the S likeliest successors c of each,

    v_b = log Σ_c p(c|b) exp(z_c - l_c) - log Σ_c p(c|b),    z_b ← z_b + v_b - mean v,

where z_c are the logits of the next step if b is chosen, by the same formula and for the next word of the message, and
l_c = log p(c|b). This is the value of reinforcement learning that is regularised by the KL divergence from the
language. An untrained policy has z_c = l_c and hence v = 0. The logits z_c are themselves refined by what follows
them, and so on, up to the depth of the plan. The mean is over all tokens refined at a step, after whichever tokens, so
that the values of two tokens b stay comparable; tokens that are not refined count as average.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from agents.policies.activations import logsumexp

CHUNK_ELEMENTS = 1_000_000  # tokens whose successors are found at a time, times all tokens
INNER_SHARE = 4  # steps after the first refine K / INNER_SHARE tokens, because their number grows with the depth


class Successors(NamedTuple):
    """The S likeliest successors of each token, [V, S] each, the likeliest first."""

    token: Tensor  # int64 ids
    log_p: Tensor  # log p(c|b), nats
    surprisal: Tensor  # s(c|b), nats
    log_mass: Tensor  # [V] log Σ_c p(c|b), nats


def likeliest_successors(
    context: Tensor, output: Tensor, log_unigram: Tensor, leniency: Tensor, count: int
) -> Successors:
    """Return the likeliest successors of each token.

    Args:
        context: Context vectors, [V, d].
        output: Output vectors, transposed, [d, V].
        log_unigram: Log-probabilities, [V], nats.
        leniency: -l - s of each token, [V], nats.
        count: S.
    """
    # filled in place: small results kept among large temporary arrays would keep the memory of these
    size = len(log_unigram)
    log_p, token = context.new_empty(size, count), torch.empty(size, count, dtype=torch.int64, device=context.device)
    step = max(1, CHUNK_ELEMENTS // size)
    for rows in (slice(first, first + step) for first in range(0, size, step)):
        scores = torch.addmm(log_unigram, context[rows], output)
        log_p[rows], token[rows] = scores.log_softmax(dim=1).topk(count, dim=1)
    return Successors(token, log_p, -log_p - leniency[token], log_p.logsumexp(dim=1))


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """Return the rows with ids [..] of a table [V, S], as [.., S]; its gradient takes half the time of `table[ids]`."""
    return table.index_select(0, ids.flatten()).view(*ids.shape, -1)


class Plan(NamedTuple):
    """What the recursion needs to know of the language and the message."""

    successors: Successors
    language_logits: Callable[[Tensor], Tensor]  # logits [.., S] of the successors of tokens [..] without meanings
    # What the meanings due in 1, 2, … steps add to the logits of tokens, [N, …]; the same shape.
    meaning_logits: tuple[Callable[[Tensor], Tensor], ...]

    def refine(self, logits: Tensor, size: int, tokens: Tensor | None = None, ahead: int = 0) -> Tensor:
        """Return logits, [N, …, M], with v - mean v added for the tokens with the highest logits.

        Args:
            logits: Logits of M tokens, [N, …, M].
            size: Number of tokens to refine, K.
            tokens: Ids of the M tokens, [N, …, M]; None if they are the vocabulary.
            ahead: Number of steps until one of these tokens is chosen.
        """
        places = logits.detach().topk(min(size, logits.shape[-1]), dim=-1).indices
        chosen = places if tokens is None else tokens.gather(-1, places)
        return logits.scatter_add(-1, places, self.gains(chosen, size, ahead))

    def gains(self, chosen: Tensor, size: int, ahead: int = 0) -> Tensor:
        """Return v - mean v of the chosen tokens, in the shape of their ids, [N, …, K]; the mean is each observation's.

        Args:
            chosen: Ids of the tokens.
            size: Number of tokens to refine, K, of which later steps refine a share.
            ahead: Number of steps until one of these tokens is chosen.
        """
        following = rows_of(self.successors.token, chosen)
        later = self.language_logits(chosen) + self.meaning_logits[ahead](following)
        if ahead + 1 < len(self.meaning_logits):
            later = self.refine(later, max(1, size // INNER_SHARE), following, ahead + 1)
        value = logsumexp(later) - self.successors.log_mass[chosen]
        return value - value.mean(dim=tuple(range(1, value.dim())), keepdim=True)


def looked_up(logits: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function from token ids [N, …] to their logits, of the logits of all tokens, [N, V]."""
    return lambda ids: logits.gather(1, ids.flatten(1)).view(ids.shape)


def computed(query: Tensor, vectors: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function from token ids [N, …] to products of queries [N, d] and the tokens' vectors, of all [V, d]."""
    return lambda ids: (rows_of(vectors, ids.flatten(1)) @ query[:, :, None]).view(ids.shape)
