"""Let several agents speak as one: at every step their distributions over tokens are made one.

Agents of different vocabularies share the tokens that the smallest knows; the others' distributions are cut to these
ranks and made whole again before they are put together.
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

TIE = 1e-6  # of a vote: the mean probability counts so much, which decides between tokens of as many votes


def mean_prob(log_probs: Tensor) -> Tensor:
    """Logits of the mean of the probabilities: what any member finds likely can be said."""
    return exp(log_probs).mean(dim=0).log()


def mean_logit(log_probs: Tensor) -> Tensor:
    """The mean of the log-probabilities, a product of the distributions: what any finds unlikely is not said."""
    return log_probs.mean(dim=0)


def vote(log_probs: Tensor) -> Tensor:
    """Logits of the shares of the votes: each member has one, for its most probable token."""
    votes, ones = torch.zeros_like(log_probs[0]), torch.ones_like(log_probs[:, :, 0])
    votes.scatter_add_(1, log_probs.argmax(dim=2).T, ones.T)
    return (votes.double() + TIE * exp(log_probs).mean(dim=0)).log()


# From log-probabilities of M members, [M, N, V], to logits [N, V].
RULES: dict[str, Callable[[Tensor], Tensor]] = {"mean-prob": mean_prob, "mean-logit": mean_logit, "vote": vote}


class Ensemble(TokenPolicy):
    """Several agents as one, which plays the task of the smallest. Where one of them knows masks, all keep to them.

    Args:
        members: the agents, at least two.
        rule: how their distributions are put together: a name of `RULES`.

    Raises:
        SettingError: fewer than two, an unknown rule, agents of different languages, or that see different
            observations.
    """

    def __init__(self, members: Sequence[Agent], rule: str = "mean-prob") -> None:
        self._combined = find("ensemble rule", rule, RULES)
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
        """See `TokenPolicy`; what is remembered is a tuple of what each member remembers."""
        if action_masks is not None:
            self.check_masks()
        shared, logits, memory = self.task.vocab_size, [], []
        for member, before in zip(self.members, state or [None] * len(self.members), strict=True):
            found, after = member.distribution(observations, before, episode_start)
            logits.append(found.distribution.logits[:, :shared])
            memory.append(after)
        together = torch.stack(logits)
        if action_masks is not None:
            allowed = torch.as_tensor(action_masks, device=together.device).reshape(together.shape[1:])
            together = together.masked_fill(~allowed, -torch.inf)
        combined = self._combined(together.log_softmax(dim=2))
        return LargeCategoricalDistribution(shared).proba_distribution(combined), tuple(memory)
