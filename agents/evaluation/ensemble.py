"""Combine agents into an ensemble: at every step their distributions over tokens are merged into one.

Agents with different vocabularies share the tokens of the smallest one; the other distributions are cut to these ranks
and normalised again before they are combined.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from agents.evaluation.agent import Agent, BoolArray, Memory, TokenPolicy
from agents.evaluation.shared_task import smallest_agent
from agents.policies.activations import exp
from agents.policies.distributions import LargeCategoricalDistribution
from token_env.errors import SettingError, find
from token_env.rules.observations import Observations

TIE_BREAK = 1e-6  # weight of the mean probability in `vote`; it decides between tokens with equal votes


def mean_prob(log_probs: Tensor) -> Tensor:
    """Average probabilities [M, N, V] into logits [N, V]: a token likely for one member stays likely."""
    return exp(log_probs).mean(dim=0).log()


def mean_logit(log_probs: Tensor) -> Tensor:
    """Average log-probabilities [M, N, V] into logits [N, V]: a token unlikely for one member becomes unlikely."""
    return log_probs.mean(dim=0)


def vote(log_probs: Tensor) -> Tensor:
    """Count votes from log-probabilities [M, N, V] into logits [N, V]: one vote per member, for its best token."""
    votes, ones = torch.zeros_like(log_probs[0]), torch.ones_like(log_probs[:, :, 0])
    votes.scatter_add_(1, log_probs.argmax(dim=2).T, ones.T)
    return (votes.double() + TIE_BREAK * exp(log_probs).mean(dim=0)).log()


# Rules map log-probabilities of M members, [M, N, V], to logits [N, V].
RULES: dict[str, Callable[[Tensor], Tensor]] = {"mean-prob": mean_prob, "mean-logit": mean_logit, "vote": vote}


class Ensemble(TokenPolicy):
    """A policy that combines several agents and plays the task of the smallest; uses masks if any member does.

    Args:
        members: Agents, at least two.
        rule: Name of the rule in `RULES` that combines the distributions.

    Raises:
        SettingError: There are fewer than two members, the rule is unknown, or the members have different languages or
            observations.
    """

    def __init__(self, members: Sequence[Agent], rule: str = "mean-prob") -> None:
        self._combine = find("ensemble rule", rule, RULES)
        if len(members) < 2:
            raise SettingError(f"an ensemble has at least 2 members, {len(members)} was given; name more runs.")
        uses_mask = any(member.uses_mask for member in members)
        super().__init__(smallest_agent(members).dynamics, uses_mask, "an ensemble of agents without masks")
        self.members, self.rule = tuple(members), rule

    def distribution(
        self,
        observations: Observations,
        state: Memory | None = None,
        episode_start: BoolArray | None = None,
        action_masks: BoolArray | None = None,
    ) -> tuple[LargeCategoricalDistribution, Memory]:
        """Return the combined distribution and the memory of each member; see `TokenPolicy.distribution`."""
        if action_masks is not None:
            self.check_masks()
        shared, logits, memory = self.task.vocab_size, [], []
        for member, before in zip(self.members, state or [None] * len(self.members), strict=True):
            distribution, after = member.distribution(observations, before, episode_start)
            logits.append(distribution.distribution.logits[:, :shared])
            memory.append(after)
        stacked = torch.stack(logits)  # [M, N, V]
        if action_masks is not None:
            allowed = torch.as_tensor(action_masks, device=stacked.device).reshape(stacked.shape[1:])
            stacked = stacked.masked_fill(~allowed, -torch.inf)
        combined = self._combine(stacked.log_softmax(dim=2))
        return LargeCategoricalDistribution(shared).proba_distribution(combined), tuple(memory)
