"""Collect English messages and the answers of policies, with cosine, surprisal and reward of every word."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.runs.json_files import read_json
from benchmarks.published.english import MESSAGES, PUBLISHED
from token_env import SIZES
from token_env.episodes.evaluate import evaluate
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, find
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.task import Task, with_split
from token_env.rules.terms import adequacy, fluency_penalty

SPEAKERS = {  # reference policy → name on the page
    "verbatim": "the message itself",
    "optimal": "best possible answer",
    "greedy": "best next word (greedy)",
    "fluent": "most fluent word (fluent)",
}


class Word(NamedTuple):
    """One word of an answer."""

    text: str
    nearness: float  # cosine of its meaning and the target meaning, clipped at 0
    surprisal: float  # nats
    disfluent: bool  # surprisal above the budget
    reward: float

    @property
    def tooltip(self) -> str:
        """Figures of the word as text."""
        text = f"cosine {self.nearness:.2f} · {self.surprisal:.1f} nats · earns {self.reward:+.2f}"
        return text.replace("-", "−")


class Line(NamedTuple):
    """The answer of one policy to a message."""

    speaker: str
    episode_return: float
    words: list[Word]


class Messages(NamedTuple):
    """Messages with the answers of all policies."""

    agent: str | None  # description of the agent; None without an agent
    budget: float  # surprisal without penalty, nats
    lines: list[list[Line]]  # answers to each message, the message itself first


def read_messages(folder: Path) -> Messages:
    """Collect answers to the first English test problems: of reference policies, and of the agent stored in the folder.

    Raises:
        SettingError: If the file of the agent's answers is invalid.
    """
    path = folder / PUBLISHED.name
    paraphrases: dict[str, Any] = read_json(path) if path.exists() else {}
    agent = paraphrases.get("agent", {})
    size = find("size", str(agent.get("preset", "fast")), SIZES)
    task = with_split(Task(language="english", **size), "test")
    dynamics = Dynamics(task)
    problems = dynamics.problems.draw(np.arange(MESSAGES))
    tokens = {
        speaker: evaluate(REFERENCES[policy], range(MESSAGES), task=task).actions
        for policy, speaker in SPEAKERS.items()
    }
    name = f"{agent['algorithm'].upper()} agent" if agent else None
    if name:
        tokens[name] = _agent_tokens(dynamics, paraphrases, path)
    order = [*list(tokens)[:2], *([name] if name else []), *list(tokens)[2 : len(SPEAKERS)]]
    by_speaker = [_lines(dynamics, problems, speaker, tokens[speaker]) for speaker in order]
    by_message = [list(lines) for lines in zip(*by_speaker, strict=True)]
    description = (
        f"{name}, {agent['preset']} preset, {agent['episodes']:,} episodes, seed {agent['seed']}" if name else None
    )
    return Messages(description, task.surprisal_budget, by_message)


def _agent_tokens(dynamics: Dynamics, paraphrases: dict[str, Any], path: Path) -> NDArray[np.int64]:
    """Convert the agent's stored words to tokens, [messages, L]."""
    rank = {word: place for place, word in enumerate(dynamics.language.surface)}
    try:
        answers = [problem["agent"]["said"].split() for problem in paraphrases["problems"][:MESSAGES]]
        tokens = [[rank[word] for word in words] for words in answers]
        return np.array(tokens, dtype=np.int64).reshape(MESSAGES, dynamics.task.max_steps)
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"{str(path)!r} does not hold an agent's answers to {MESSAGES} messages; "
            f"type python -m benchmarks paraphrases RUN --out {path}."
        ) from error


def _lines(dynamics: Dynamics, problems: Problems, speaker: str, tokens: NDArray[np.int64]) -> list[Line]:
    """Compute the figures of a policy's answers, one line per message.

    Args:
        dynamics: Rules of the task.
        problems: The messages.
        speaker: Name of the policy on the page.
        tokens: Answers of the policy, [messages, L].
    """
    task, language = dynamics.task, dynamics.language
    previous = np.column_stack([problems.start, tokens[:, :-1]])
    cosine = np.vecdot(language.meaning[tokens], problems.meanings)
    surprisal = language.surprisal(previous, tokens)
    rewards = adequacy(cosine, problems.weights, task.adequacy_scale)
    rewards = rewards - fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)
    lines = []
    for row, answer in enumerate(tokens):
        words = [
            Word(
                language.surface[token],
                round(max(0.0, float(cosine[row, step])), 2),
                float(surprisal[row, step]),
                bool(surprisal[row, step] > task.surprisal_budget),
                float(rewards[row, step]),
            )
            for step, token in enumerate(answer)
        ]
        lines.append(Line(speaker, float(rewards[row].sum()), words))
    return lines
