"""Find the task that several agents can play: that of the one with the fewest tokens, if the others know them all."""

from collections.abc import Sequence

from agents.evaluation.agent import Agent
from token_env.errors import SettingError

# What agents must have in common to read the same observation.
SEEN_ALIKE = ("observation", "lookahead", "reward")


def smallest_agent(agents: Sequence[Agent]) -> Agent:
    """The agent whose task all of them can play: of the fewest tokens, and among those of the shortest messages.

    Tokens are ranked by frequency, and the first ranks of a language are a language: the others play it with their
    distributions cut to these ranks, which leaves the order of their probabilities.

    Raises:
        SettingError: agents of different languages, or that see different observations.
    """
    found, *others = sorted(agents, key=lambda agent: (agent.task.vocab_size, agent.task.max_steps))
    seen_alike = (*SEEN_ALIKE, *(["max_steps"] if found.task.observation == "tokens" else []))  # tokens count the steps
    for other in others:
        if other.language.truncate(found.task.vocab_size).fingerprint != found.language.fingerprint:
            raise SettingError(
                f"the agents speak different languages ({found.settings.env.language!r} is no beginning of "
                f"{other.settings.env.language!r}); name runs of one language."
            )
        for name in seen_alike:
            values = getattr(found.task, name), getattr(other.task, name)
            if values[0] != values[1]:
                raise SettingError(
                    f"the agents see different observations: env.{name} is {values[0]!r} and {values[1]!r}."
                )
    return found
