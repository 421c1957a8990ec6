"""Compare an exported model with the original agent."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.agent import Agent, BoolArray, Memory
from token_env.episodes.evaluate import EpisodePolicy, evaluate
from token_env.rules.observations import Observations
from token_env.rules.task import with_split

MIN_OBSERVATIONS = 1_000  # least number of observations on which the model and the agent are compared
TIE_NATS = 1e-3  # nats; rounding decides between tokens with logits this close


def count_disagreements(agent: Agent, other: EpisodePolicy) -> tuple[int, int]:
    """Return the number of observations on which the tokens differ, and the number of compared observations."""
    comparison = AgreementPlayer(agent, other)
    task = with_split(agent.task, "test")
    evaluate(comparison, range(-(-MIN_OBSERVATIONS // task.max_steps)), task=task)
    return comparison.disagreements, comparison.observations


class AgreementPlayer:
    """Plays the agent's tokens and counts the observations on which another policy chooses different ones."""

    def __init__(self, agent: Agent, other: EpisodePolicy) -> None:
        self._agent, self._other = agent, other
        self._memory: Memory | None = None
        self.disagreements, self.observations = 0, 0

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Return the agent's tokens, [N]; see `token_env.EpisodePolicy`."""
        masks = action_masks() if self._agent.uses_mask else None
        distribution, self._memory = self._agent.distribution(observations, self._memory, episode_starts, masks)
        logits: Any = distribution.distribution.logits.cpu().numpy()
        rows, tokens = np.arange(len(logits)), logits.argmax(axis=1)
        other_tokens = self._other.act(observations, episode_starts, action_masks)
        self.disagreements += int((logits[rows, tokens] - logits[rows, other_tokens] > TIE_NATS).sum())
        self.observations += len(rows)
        return np.asarray(tokens, dtype=np.int64)
