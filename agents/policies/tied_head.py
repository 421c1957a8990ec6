"""Compute the logits of a policy that speaks a language: they start as its bigram log-probabilities.

The immediate logit of token b, after token a and for the word that is due, with meaning x and rarity ρ, is

    z_b = log p(b|a) - Σ_i c_i max(0, s(b|a) - k_i) + g(ρ) (w x + W x)·o_b        (`tied_logits.py`)

log p, the surprisal s and the output vectors o belong to the language, as fine-tuning starts from a language model.
The number w, the matrix W, the slopes c, the places k and the function g, piecewise linear in the rarity, are learned
from reward alone. At first w, W and c are 0 and g is 1: an untrained policy samples from the language. If the depth is
1 or more, a plan adds what each token makes possible next, by the same formula for the next words (`planning.py`).
A recurrent policy adds B h to the query vector of the word that is due, with the LSTM's output h and B = 0 at first.
The head knows neither α, λ, τ nor the payments of words.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

from agents.policies.planning import Plan, Successors, computed, likeliest_successors, looked_up, rows_of
from agents.policies.streamed import Logits, StreamedLogits, is_streamed
from agents.policies.tied_logits import (
    Bigrams,
    bent,
    immediate_logits,
    plain_immediate_logits,
    streamed_immediate_logits,
)
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.task import Task

BENDS = (3.0, 6.0)  # k at first, nats: evenly spaced
KNOTS = (0.0, 0.2, 0.4, 0.6, 0.8)  # rarities between which g is linear; constant beyond the last
# Adam moves every parameter equally fast; these are stored divided by a factor, which multiplies their learning rates.
LR_MULTIPLIERS = {"scalar": 40.0, "matrix": 0.08, "slopes": 1000.0, "places": 6.0, "knots": 10.0}
# Slopes below 0 are divided by it. A few noisy updates could otherwise make a policy certain of surprising tokens that
# it has never sampled; an algorithm that clips ratios of probabilities clips those of sampled tokens alone.
SLOPE_BRAKE = 1000.0
# The factor of W grows with W: slow as long as its updates cancel each other, fast where they add up.
MATRIX_GROWTH = 0.3
MASK_SLOPE = 1000.0  # per nat beyond the mask budget
VALUE_FEATURES, VALUE_SCALE = 2, 0.1  # what the value network is shown of the logits, and its scale


class Prior(NamedTuple):
    """Arrays of the language that define its probabilities and surprisals; they contain nothing about rewards."""

    context: NDArray[np.float64]  # [V, d] context vectors
    output: NDArray[np.float64]  # [V, d] output vectors
    log_unigram: NDArray[np.float64]  # [V] nats
    leniency: NDArray[np.float64]  # [V] nats by which a token's surprisal is less than -log p
    words: int  # k + 1, number of meanings in an observation


def language_prior(language: Language, lookahead: int = Task.lookahead) -> Prior:
    """Return the arrays of a language that a tied policy needs, for `policy_kwargs={"prior": …}`.

    Args:
        language: Language of the environment: `env.unwrapped.language`, or `env.get_attr("language")[0]` of a `VecEnv`.
        lookahead: k, number of observed meanings after the one that is due, as in the environment.
    """
    leniency = language.floored_log_unigram - language.log_unigram
    return Prior(language.context, language.output, language.log_unigram, leniency, lookahead + 1)


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
    """Module that computes the formula at the top of this file from observations of kind "features".

    Args:
        prior: Arrays of the language.
        depth: Number of steps that the plan looks ahead; 0 for the immediate logits alone.
        shortlist: K, number of tokens that the plan refines.
        successors: S, number of successors of each that it considers.
        mask_budget: Surprisal in nats beyond which tokens are masked, so that the plan avoids them; None without masks.
        memory: Number of units of h, the columns after the observation; 0 without a memory.

    Raises:
        SettingError: The plan is deeper than the observed meanings reach.
    """

    def __init__(
        self,
        prior: Prior,
        depth: int = 0,
        shortlist: int = 32,
        successors: int = 32,
        mask_budget: float | None = None,
        memory: int = 0,
    ) -> None:
        super().__init__()
        vocab_size, d = prior.output.shape
        self.words, self.dimension = prior.words, d
        self.context_length = float(np.linalg.norm(prior.context, axis=1).max())  # observations are divided by it
        self.shortlist, self.num_successors = min(shortlist, vocab_size), min(successors, vocab_size)
        for name in ("context", "leniency"):
            self._keep(name, getattr(prior, name))
        self._keep("log_unigram", prior.log_unigram, saved=True)  # so that weights tell the size of the vocabulary
        self._keep("output", np.ascontiguousarray(prior.output.T))
        self._keep("knot_places", np.array(KNOTS))
        masks = [] if mask_budget is None else [mask_budget]  # a mask is one more bend, which is not learned
        self._keep("mask_slope", np.full(len(masks), MASK_SLOPE))
        self._keep("mask_place", np.array(masks))
        self.scalar = nn.Parameter(torch.zeros(()))  # w
        self.matrix = nn.Parameter(torch.zeros(d, d))  # W, transposed
        self.slopes = nn.Parameter(torch.zeros(len(BENDS)))  # c
        self.places = nn.Parameter(torch.tensor(BENDS) / LR_MULTIPLIERS["places"])  # k
        self.knots = nn.Parameter(torch.zeros(len(KNOTS)))  # g - 1
        self.memory = nn.Parameter(torch.zeros(memory, d)) if memory else None  # B, transposed
        self.plan_to(depth)

    context: Tensor
    output: Tensor
    log_unigram: Tensor
    leniency: Tensor
    knot_places: Tensor
    mask_slope: Tensor  # [1], or [0] without masks
    mask_place: Tensor

    def _keep(self, name: str, array: NDArray[Any], saved: bool = False) -> None:
        """Register an array as a float32 constant, and save it with the weights or not."""
        self.register_buffer(name, torch.tensor(array, dtype=torch.float32), persistent=saved)

    def plan_to(self, depth: int) -> None:
        """Set the depth of the plan.

        Raises:
            SettingError: It is deeper than the observed meanings reach.
        """
        if not 0 <= depth < self.words:
            raise SettingError(
                f"a plan of depth {depth} needs the meanings of {depth} more words than the one that is due, but "
                f"observations show {self.words - 1}; type a depth from 0 to {self.words - 1}, or raise env.lookahead."
            )
        self.depth = depth
        if depth and not hasattr(self, "successor_token"):
            successors = likeliest_successors(
                self.context, self.output, self.log_unigram, self.leniency, self.num_successors
            )
            for name, tensor in successors._asdict().items():
                self.register_buffer(f"successor_{name}", tensor, persistent=False)

    def learned(self, name: str) -> Tensor:
        """Return w, W, c, k or g - 1 as used: the parameter times its factor."""
        value: Tensor = getattr(self, name)
        used = LR_MULTIPLIERS[name] * value
        if name == "matrix":
            return used * (1 + MATRIX_GROWTH * torch.linalg.vector_norm(value.detach()))
        return torch.where(used < 0, used / SLOPE_BRAKE, used) if name == "slopes" else used

    def forward(self, observations: Tensor) -> Logits:
        """Return logits [N, V] of observations [N, D], or of observations and memory, [N, D + H]."""
        return self.evaluate(observations)[0]

    def evaluate(self, observations: Tensor) -> tuple[Logits, Tensor]:
        """Return logits, [N, V], and what the value network is shown of them, [N, 2]: see `value_features`."""
        d, words = self.dimension, self.words
        context, vectors, rarities = torch.split(
            observations[:, : d * (words + 1) + words], [d, words * d, words], dim=1
        )
        meanings = vectors.view(-1, words, d)[:, : self.depth + 1]
        queries = self.emphasis(rarities[:, : self.depth + 1])[:, :, None] * (
            self.learned("scalar") * meanings + meanings @ self.learned("matrix")
        )
        slopes = torch.cat([self.learned("slopes"), self.mask_slope])
        places = torch.cat([self.learned("places"), self.mask_place])
        bigrams = Bigrams(self.context_length * context, self.output, self.log_unigram, self.leniency)
        query, later = queries[:, 0], queries[:, 1:].unbind(dim=1)
        if self.memory is not None:
            query = query + observations[:, -len(self.memory) :] @ self.memory
        if is_streamed(len(self.log_unigram)):
            return self._stream(streamed_immediate_logits(query, slopes, places, bigrams), later, slopes, places)
        logits = immediate = self.immediate(query, slopes, places, bigrams)
        if self.depth:
            lookups = tuple(looked_up(query @ self.output) for query in later)
            logits = self._plan(lookups, slopes, places).refine(immediate, self.shortlist)
        return logits, value_features(immediate.detach().amax(dim=1), logits.detach().amax(dim=1))

    def _stream(
        self, immediate: StreamedLogits, later: Sequence[Tensor], slopes: Tensor, places: Tensor
    ) -> tuple[StreamedLogits, Tensor]:
        """Return what `evaluate` returns, of streamed immediate logits and the later steps' queries, [N, d] each."""
        if not self.depth:
            highest = immediate.amax()
            return immediate, value_features(highest, highest)
        best, tokens = immediate.topk(self.shortlist + 1)
        chosen = tokens[:, :-1]
        products = tuple(computed(query, self.output.T) for query in later)
        gains = self._plan(products, slopes, places).gains(chosen, self.shortlist)
        highest = torch.maximum((best[:, :-1] + gains.detach()).amax(dim=1), best[:, -1])
        return immediate.plus(chosen, gains), value_features(best[:, 0], highest)

    immediate = staticmethod(immediate_logits)

    def emphasis(self, rarities: Tensor) -> Tensor:
        """Return g(ρ) of rarities, in their shape."""
        spacing = KNOTS[1] - KNOTS[0]
        inside = rarities.clamp(max=KNOTS[-1])[..., None]
        hats = (1 - (inside - self.knot_places).abs() / spacing).clamp(min=0)
        return 1 + hats @ self.learned("knots")

    def _plan(self, meaning_logits: tuple[Callable[[Tensor], Tensor], ...], slopes: Tensor, places: Tensor) -> Plan:
        """Return the plan of N observations, given what later meanings add to the logits of tokens."""
        successors = Successors(*(getattr(self, f"successor_{name}") for name in Successors._fields))

        def language_logits(tokens: Tensor) -> Tensor:
            if self._bends_chosen_rows(tokens.numel()):
                log_p, surprisal = (rows_of(table, tokens) for table in (successors.log_p, successors.surprisal))
                return bent(log_p, surprisal, slopes, places)
            return rows_of(bent(successors.log_p, successors.surprisal, slopes, places), tokens)

        return Plan(successors, language_logits, meaning_logits)

    def _bends_chosen_rows(self, tokens: int) -> bool:
        """Return whether bending the successors of this number of tokens takes less time than those of all tokens."""
        return tokens < len(self.log_unigram)


def value_features(immediate: Tensor, planned: Tensor) -> Tensor:
    """Return what the value network is shown, [N, 2]: the highest immediate logit, and what the plan adds to it.

    Args:
        immediate: The highest immediate logit of each row, [N].
        planned: The highest logit of each row, [N].
    """
    return VALUE_SCALE * torch.stack([immediate, planned - immediate], dim=1)


class PlainTiedHead(TiedHead):
    """`TiedHead` in plain torch operators only, which exporters can trace."""

    immediate = staticmethod(plain_immediate_logits)

    def _bends_chosen_rows(self, tokens: int) -> bool:  # noqa: ARG002
        """Return False: a branch on the number of rows would fix it, and the bent table of all tokens is constant."""
        return False


class TiedExtractor(MlpExtractor):
    """SB3's `MlpExtractor` with `TiedHead` as the actor, whose logits a policy uses as they are.

    The critic is a network as in SB3; the head's two features of the value precede its output.

    Args:
        feature_dim: Number of feature columns, of which the first are the observation.
        head: The head.
        hidden: Number of units of each hidden layer of the critic.
        **keywords: Other arguments of `MlpExtractor`.
    """

    def __init__(self, feature_dim: int, head: TiedHead, hidden: list[int], **keywords: Any) -> None:
        super().__init__(feature_dim, {"pi": [], "vf": hidden}, **keywords)
        self.head = head.to(keywords.get("device", "cpu"))
        self.latent_dim_pi = len(head.log_unigram)
        self.latent_dim_vf += VALUE_FEATURES

    def forward(self, features: Tensor) -> tuple[Any, Tensor]:
        """Return logits [N, V] and the critic's latent of features [N, F]."""
        logits, seen = self.head.evaluate(features)
        return logits, self._critic(features, seen)

    def forward_actor(self, features: Tensor) -> Any:
        """Return logits [N, V]."""
        return self.head(features)

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return the critic's latent."""
        with torch.no_grad():
            seen = self.head.evaluate(features)[1]
        return self._critic(features, seen)

    def _critic(self, features: Tensor, seen: Tensor) -> Tensor:
        return torch.cat([seen, super().forward_critic(features)], dim=1)
