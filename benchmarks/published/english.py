"""Format examples of the bundled English: nearest words by meaning, and messages with their paraphrases."""

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
from token_env.rules.task import with_split

PUBLISHED = RESULTS / "english.json"
MESSAGES = 10  # number of test problems
NEIGHBOURS = 5
WORDS = (
    *("poet", "france", "three", "she", "red", "tree", "bird", "dog", "disease", "anxiety"),
    *("slowly", "could", "eat", "angry", "large", "iron", "money", "blood", "king", "of"),
)


def neighbour_table(language: Language, words: tuple[str, ...] = WORDS) -> str:
    """Format a Markdown table of each word's nearest words by cosine similarity of their meaning vectors."""
    rank = {word: place for place, word in enumerate(language.surface)}
    tokens = np.array([rank[word] for word in words])
    cosine = language.meaning[tokens] @ language.meaning.T
    cosine[np.arange(len(tokens)), tokens] = -np.inf  # exclude the word itself
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]
    rows = ["| word | rank | nearest |", "|---|---:|---|"]
    for row, token in enumerate(tokens):
        neighbours = ", ".join(f"{language.surface[other]} {cosine[row, other]:.2f}" for other in nearest[row])
        rows.append(f"| {language.surface[token]} | {token:,} | {neighbours} |")
    return "\n".join(rows)


def paraphrases(agent: Agent, count: int = MESSAGES) -> dict[str, Any]:
    """Collect the words and returns of an agent and of the optimal policy on the first test problems.

    Args:
        agent: Agent trained with the bundled English.
        count: Number of test problems.

    Returns:
        A JSON object with the agent's settings and one entry per problem.

    Raises:
        SettingError: If the agent was trained with another language.
    """
    if agent.language.recipe["kind"] != "english":
        raise SettingError("the agent does not speak the bundled English; train one with --language english.")
    task = with_split(agent.task, "test")
    problems = Dynamics(task).problems.draw(np.arange(count))
    policies: dict[str, Policy | ReferencePolicy] = {"optimal": REFERENCES["optimal"], "agent": agent.greedy}
    evaluations = {name: evaluate(policy, range(count), task=task) for name, policy in policies.items()}
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
                        "said": _words(agent.language, evaluation.actions[row]),
                        "return": round(float(evaluation.returns[row]), 3),
                    }
                    for name, evaluation in evaluations.items()
                },
            }
            for row in range(count)
        ],
    }


def paraphrase_text(messages: Mapping[str, Any]) -> str:
    """Format the result of `paraphrases` as Markdown."""
    lines = []
    for number, problem in enumerate(messages["problems"]):
        lines += [f"{number}. {problem['message']}"]
        lines += [
            f"   - *{name}* {problem[name]['return']:+.2f}: {problem[name]['said']}" for name in ("optimal", "agent")
        ]
    return "\n".join(lines)


def _words(language: Language, tokens: np.ndarray) -> str:
    return " ".join(language.surface[token] for token in tokens)
