"""Find the task that several agents can play: the one with the smallest vocabulary, if the others contain it."""

from collections.abc import Sequence
from typing import Any

from agents.evaluation.agent import Agent
from token_env.errors import SettingError
from token_env.rules.rewards import find_reward

# Settings of the task that must be equal for agents to read the same observations.
OBSERVATION_SETTINGS = ("observation", "lookahead", "reward")


def smallest_agent(agents: Sequence[Agent]) -> Agent:
    """Return the agent with the smallest vocabulary and, among equals, the shortest messages; all can play its task.

    Tokens are ranked by frequency, and the first ranks of a language form a language: the other agents play it with
    their distributions cut to these ranks, which preserves the order of their probabilities.

    Raises:
        SettingError: The agents have different languages or different observations.
    """
    smallest, *others = sorted(agents, key=lambda agent: (agent.task.vocab_size, agent.task.max_steps))
    names = [*OBSERVATION_SETTINGS]
    if smallest.task.observation == "tokens":
        names.append("max_steps")  # such observations depend on the message length
    for other in others:
        if other.language.truncate(smallest.task.vocab_size).fingerprint != smallest.language.fingerprint:
            raise SettingError(
                f"the agents speak different languages ({smallest.settings.env.language!r} is no beginning of "
                f"{other.settings.env.language!r}); name runs of one language."
            )
        for name in names:
            values = getattr(smallest.task, name), getattr(other.task, name)
            if _columns(name, values[0]) != _columns(name, values[1]):
                raise SettingError(
                    f"the agents see different observations: env.{name} is {values[0]!r} and {values[1]!r}."
                )
    return smallest


def _columns(name: str, value: Any) -> Any:
    """Return what observations depend on: of a reward only the columns that it adds."""
    return find_reward(value).columns if name == "reward" else value
