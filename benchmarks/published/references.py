"""Measure what the reference policies earn in every size and language: the figures that the documentation shows."""

import dataclasses
from collections.abc import Iterable, Iterator

import pandas as pd

from agents.evaluation.scores import policy_figures
from benchmarks.files import RESULTS
from token_env import SIZES
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.rules.task import Task, held_out

PUBLISHED = RESULTS / "references.csv"
LANGUAGES = ("synthetic", "english")
PROBLEMS = 500  # test problems, from the first
FURTHER = (2, 3)  # k of `lookahead`, beside the 1 that environments show
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
    """The figures of every reference policy on test problems, a row a language, size and policy."""
    rows = []
    for language in languages:
        for size in sizes:
            task = held_out(Task(language=language, **SIZES[size]), "test")
            for name, policy, seen in _policies(task):
                figures = policy_figures(policy, seen, range(problems))
                rows.append(
                    {"language": language, "size": size, "policy": name, "problems": problems}
                    | {figure: round(getattr(figures, figure), 5) for figure in FIGURES}
                )
    return pd.DataFrame(rows)


def _policies(task: Task) -> Iterator[tuple[str, ReferencePolicy, Task]]:
    """What is measured: its name, the policy, and the task with as much in sight as it plans over."""
    for name, policy in REFERENCES.items():
        if name != "lookahead":
            yield name, policy, task
            continue
        for k in (task.lookahead, *FURTHER):
            yield f"lookahead, k = {k}", policy, dataclasses.replace(task, lookahead=k)


def published() -> pd.DataFrame:
    """The figures that are committed."""
    return pd.read_csv(PUBLISHED)


def reference_table(measured: pd.DataFrame, language: str) -> str:
    """Mean return ± half of its 95 % interval, and score, of every policy in one language: a Markdown table."""
    of_language = measured[measured["language"] == language]
    sizes = list(dict.fromkeys(of_language["size"]))
    rows = [
        "| | " + " | ".join(f"{size}: return | score" for size in sizes) + " |",
        "|---|" + "---:|---:|" * len(sizes),
    ]
    for policy, figures in of_language.groupby("policy", sort=False):
        by_size = figures.set_index("size")
        cells = [cell for size in sizes for cell in _cells(by_size.loc[size])]
        rows.append(f"| `{policy}` | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cells(figures: pd.Series) -> tuple[str, str]:
    told = f"{figures['mean_return']:+.2f} ± {figures['half_width']:.2f}", f"{figures['score']:.3f}"
    return told[0].replace("-", "−"), told[1].replace("-", "−")
