"""Measure the returns of the reference policies in every size and language, as shown in the documentation."""

import dataclasses
from collections.abc import Iterable, Iterator

import pandas as pd

from agents.evaluation.formats import number_text, plus_minus_text
from agents.evaluation.scores import score_policy
from benchmarks.files import RESULTS
from token_env import SIZES
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.rules.task import Task, with_split

PUBLISHED = RESULTS / "references.csv"
LANGUAGES = ("synthetic", "english")
PROBLEMS = 500  # number of test problems
LARGER_LOOKAHEADS = (2, 3)  # k of the policy `lookahead`, besides the task's own k
FIGURES = (
    "mean_return",
    "half_width",
    "mean_optimum",
    "score",
    "score_half_width",
    "mean_adequacy",
    "mean_fluency_penalty",
    "distinct_tokens",
    "token_perplexity",
)


def measure(
    sizes: Iterable[str] = tuple(SIZES), languages: Iterable[str] = LANGUAGES, problems: int = PROBLEMS
) -> pd.DataFrame:
    """Evaluate every reference policy on the first test problems.

    Args:
        sizes: Names of the sizes.
        languages: Names of the languages.
        problems: Number of test problems.

    Returns:
        A DataFrame with one row per language, size and policy.
    """
    rows = []
    for language in languages:
        for size in sizes:
            task = with_split(Task(language=language, **SIZES[size]), "test")
            for name, policy, policy_task in _policies(task):
                figures = score_policy(policy, policy_task, range(problems))
                rows.append(
                    {"language": language, "size": size, "policy": name, "problems": problems}
                    | {figure: round(getattr(figures, figure), 5) for figure in FIGURES}
                )
    return pd.DataFrame(rows)


def _policies(task: Task) -> Iterator[tuple[str, ReferencePolicy, Task]]:
    """Yield name, policy, and the task whose observations cover the steps the policy plans over."""
    for name, policy in REFERENCES.items():
        if name != "lookahead":
            yield name, policy, task
            continue
        for k in (task.lookahead, *LARGER_LOOKAHEADS):
            yield f"lookahead, k = {k}", policy, dataclasses.replace(task, lookahead=k)


def published() -> pd.DataFrame:
    """Load the committed figures."""
    return pd.read_csv(PUBLISHED)


def reference_table(figures: pd.DataFrame, language: str) -> str:
    """Format mean return ± half of its 95 % interval, and score, of every policy in one language as Markdown.

    Args:
        figures: Result of `measure`.
        language: Name of the language.
    """
    of_language = figures[figures["language"] == language]
    sizes = list(dict.fromkeys(of_language["size"]))
    rows = [
        "| | " + " | ".join(f"{size}: return | score" for size in sizes) + " |",
        "|---|" + "---:|---:|" * len(sizes),
    ]
    for policy, of_policy in of_language.groupby("policy", sort=False):
        by_size = of_policy.set_index("size")
        cells = [cell for size in sizes for cell in _cells(by_size.loc[size])]
        rows.append(f"| `{policy}` | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cells(figures: pd.Series) -> tuple[str, str]:
    mean_return = plus_minus_text(figures["mean_return"], figures["half_width"], "+.2f")
    return mean_return, number_text(figures["score"], ".3f")
