"""Show the bundled English: neighbours of words by meaning, and messages beside the best and an agent's paraphrase."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.evaluation.agent import Agent
from benchmarks.files import RESULTS
from token_env.episodes.evaluate import Policy, evaluate
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import held_out

PUBLISHED = RESULTS / "english.json"
MESSAGES = 10  # test problems, from the first
NEIGHBOURS = 5
WORDS = (
    *("poet", "france", "three", "she", "red", "tree", "bird", "dog", "disease", "anxiety"),
    *("slowly", "could", "eat", "angry", "large", "iron", "money", "blood", "king", "of"),
)


def neighbour_table(language: Language, words: tuple[str, ...] = WORDS) -> str:
    """The words nearest in meaning to these, by the cosine of their meaning vectors, as a Markdown table."""
    rank = {word: place for place, word in enumerate(language.surface)}
    chosen = np.array([rank[word] for word in words])
    cosine = language.meaning[chosen] @ language.meaning.T
    cosine[np.arange(len(chosen)), chosen] = -np.inf  # not the word itself
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]
    rows = ["| word | rank | nearest |", "|---|---:|---|"]
    for row, token in enumerate(chosen):
        told = ", ".join(f"{language.surface[other]} {cosine[row, other]:.2f}" for other in nearest[row])
        rows.append(f"| {language.surface[token]} | {token:,} | {told} |")
    return "\n".join(rows)


def paraphrases(agent: Agent, count: int = MESSAGES) -> dict[str, Any]:
    """What an agent and the optimal policy say for the first test problems, in words, with what they earn.

    Raises:
        SettingError: the agent does not speak the bundled English.
    """
    if agent.language.recipe["kind"] != "english":
        raise SettingError("the agent does not speak the bundled English; train one with --language english.")
    task = held_out(agent.task, "test")
    problems = Dynamics(task).problems.draw(np.arange(count))
    said: dict[str, Policy | ReferencePolicy] = {"optimal": REFERENCES["optimal"], "agent": agent.greedy}
    played = {name: evaluate(policy, range(count), task=task) for name, policy in said.items()}
    settings = agent.settings
    return {
        "agent": {
            "algorithm": settings.algorithm,
            "preset": settings.name,
            "seed": settings.seed,
            "episodes": settings.episodes,
        },
        "problems": [
            {
                "message": _words(agent.language, problems.message[row]),
                **{
                    name: {
                        "said": _words(agent.language, one.actions[row]),
                        "return": round(float(one.returns[row]), 3),
                    }
                    for name, one in played.items()
                },
            }
            for row in range(count)
        ],
    }


def paraphrase_text(told: Mapping[str, Any]) -> str:
    """The paraphrases as Markdown."""
    lines = []
    for number, problem in enumerate(told["problems"]):
        lines += [f"{number}. {problem['message']}"]
        lines += [
            f"   - *{name}* {problem[name]['return']:+.2f}: {problem[name]['said']}" for name in ("optimal", "agent")
        ]
    return "\n".join(lines)


def _words(language: Language, tokens: np.ndarray) -> str:
    return " ".join(language.surface[token] for token in tokens)
