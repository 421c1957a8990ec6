"""Compare an exported model with the agent it was made from."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.agent import Agent, BoolArray, Memory
from token_env.episodes.evaluate import EpisodePolicy, evaluate
from token_env.rules.observations import Observations
from token_env.rules.task import held_out

OBSERVATIONS = 1_000  # on which what was written says what the agent says
NEAR = 1e-3  # nats, between tokens of which rounding may choose either


def disagreement(agent: Agent, other: EpisodePolicy) -> tuple[int, int]:
    """On how many observations another player says something else than the agent, and on how many it was asked."""
    beside = AgreementPlayer(agent, other)
    task = held_out(agent.task, "test")
    evaluate(beside, range(-(-OBSERVATIONS // task.max_steps)), task=task)
    return beside.differing, beside.seen


class AgreementPlayer:
    """The agent that plays episodes, with another player that is asked what it would say."""

    def __init__(self, agent: Agent, other: EpisodePolicy) -> None:
        self._agent, self._other = agent, other
        self._memory: Memory | None = None
        self.differing, self.seen = 0, 0

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        masks = action_masks() if self._agent.uses_mask else None
        distribution, self._memory = self._agent.distribution(observations, self._memory, episode_starts, masks)
        logits: Any = distribution.distribution.logits.cpu().numpy()
        rows, tokens = np.arange(len(logits)), logits.argmax(axis=1)
        said = self._other.act(observations, episode_starts, action_masks)
        self.differing += int((logits[rows, tokens] - logits[rows, said] > NEAR).sum())
        self.seen += len(rows)
        return np.asarray(tokens, dtype=np.int64)
