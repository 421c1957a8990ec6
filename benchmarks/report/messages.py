"""Show messages in real words beside what policies said, word by word: how near in meaning, how surprising."""

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
from token_env.rules.task import Task, held_out
from token_env.rules.terms import adequacy, fluency_penalty

SPEAKERS = {  # reference policies, and how the page calls them
    "verbatim": "the message itself",
    "optimal": "best possible answer",
    "greedy": "best next word (greedy)",
    "fluent": "most fluent word (fluent)",
}


class Word(NamedTuple):
    """A word that was said."""

    text: str
    nearness: float  # cosine of its meaning and the one due, at least 0
    surprisal: float  # nats
    disfluent: bool  # surprisal beyond the budget
    earned: float

    @property
    def told(self) -> str:
        """Its figures in words."""
        told = f"cosine {self.nearness:.2f} · {self.surprisal:.1f} nats · earns {self.earned:+.2f}"
        return told.replace("-", "−")


class Line(NamedTuple):
    """What one policy said for a message."""

    speaker: str
    earned: float
    words: list[Word]


class Messages(NamedTuple):
    """Messages with what was said for each, the message itself first."""

    agent: str | None  # who it is; None if there is none
    budget: float  # nats that a word may surprise by
    lines: list[list[Line]]  # by message


def read_messages(folder: Path) -> Messages:
    """The first test problems in English: the reference policies, and the agent whose words are in the folder.

    Raises:
        SettingError: the agent's words cannot be read.
    """
    path = folder / PUBLISHED.name
    told: dict[str, Any] = read_json(path) if path.exists() else {}
    agent = told.get("agent", {})
    size = find("size", str(agent.get("preset", "fast")), SIZES)
    task = held_out(Task(language="english", **size), "test")
    dynamics = Dynamics(task)
    problems = dynamics.problems.draw(np.arange(MESSAGES))
    said = {name: evaluate(REFERENCES[policy], range(MESSAGES), task=task).actions for policy, name in SPEAKERS.items()}
    name = f"{agent['algorithm'].upper()} agent" if agent else None
    if name:
        said[name] = _tokens(dynamics, told, path)
    order = [*list(said)[:2], *([name] if name else []), *list(said)[2 : len(SPEAKERS)]]
    spoken = {speaker: _lines(dynamics, problems, speaker, said[speaker]) for speaker in order}
    lines = [list(of_message) for of_message in zip(*spoken.values(), strict=True)]
    described = (
        f"{name}, {agent['preset']} preset, {agent['episodes']:,} episodes, seed {agent['seed']}" if name else None
    )
    return Messages(described, task.surprisal_budget, lines)


def _tokens(dynamics: Dynamics, told: dict[str, Any], path: Path) -> NDArray[np.int64]:
    """What the agent said, [messages, steps]."""
    rank = {word: place for place, word in enumerate(dynamics.language.surface)}
    try:
        said = [[rank[word] for word in problem["agent"]["said"].split()] for problem in told["problems"][:MESSAGES]]
        return np.array(said, dtype=np.int64).reshape(MESSAGES, dynamics.task.max_steps)
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"{str(path)!r} does not hold what an agent said for {MESSAGES} messages; "
            f"type python -m benchmarks paraphrases RUN --out {path}."
        ) from error


def _lines(dynamics: Dynamics, problems: Problems, speaker: str, said: NDArray[np.int64]) -> list[Line]:
    """What a policy said for every message, [messages, steps], with what each word earned."""
    task, language = dynamics.task, dynamics.language
    previous = np.column_stack([problems.start, said[:, :-1]])
    cosine = np.vecdot(language.meaning[said], problems.meanings)
    surprisal = language.surprisal(previous, said)
    earned = adequacy(cosine, problems.weights, task.adequacy_scale)
    earned = earned - fluency_penalty(surprisal, task.surprisal_budget, task.fluency_scale)
    lines = []
    for row, tokens in enumerate(said):
        words = [
            Word(
                language.surface[token],
                round(max(0.0, float(cosine[row, step])), 2),
                float(surprisal[row, step]),
                bool(surprisal[row, step] > task.surprisal_budget),
                float(earned[row, step]),
            )
            for step, token in enumerate(tokens)
        ]
        lines.append(Line(speaker, float(earned[row].sum()), words))
    return lines
