"""Score agents and reference policies on held-out problems, as figures and as a table."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from rich.table import Table

from agents.checkpoints import Agent
from agents.stats import problem_interval
from token_env.evaluate import Evaluation, Policy, adequacy_by_rarity, evaluate
from token_env.references import REFERENCES, ReferencePolicy, find_reference
from token_env.task import Task

SAMPLING_SEED = 0
GREEDY, SAMPLED = "agent (greedy)", "agent (sampled)"


def evaluate_agent(agent: Agent, split: str, ids: Iterable[int]) -> dict[str, dict[str, Any]]:
    """The figures of an agent on these problems, choosing the most probable token, and sampling.

    The samples are the same at every call; torch's generator is left as it was.
    """
    task = dataclasses.replace(agent.task, split=split, num_problems=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SAMPLING_SEED)
        sampled = policy_figures(agent.sampled, task, ids)
    return {GREEDY: policy_figures(agent.greedy, task, ids), SAMPLED: sampled}


def evaluate_references(
    task: Task, split: str, ids: Iterable[int], names: Iterable[str] = tuple(REFERENCES)
) -> dict[str, dict[str, Any]]:
    """The figures of these reference policies on these problems."""
    held_out = dataclasses.replace(task, split=split, num_problems=None)
    return {name: policy_figures(find_reference(name), held_out, ids) for name in names}


def policy_figures(policy: Policy | ReferencePolicy, task: Task, ids: Iterable[int]) -> dict[str, Any]:
    """The figures of a policy on these problems of the task's split."""
    played = evaluate(policy, ids, task=task)
    recovered = [None if np.isnan(share) else float(share) for share in adequacy_by_rarity(played, task)]
    return figures(played) | {"adequacy_by_rarity": recovered}


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What is reported of a policy: means over problems, and how varied its words were.

    The half width belongs to the 95 % interval of the mean over problems (bootstrap): how far the mean
    would move on other problems, not with another training.
    """
    interval = problem_interval(evaluation.returns)
    return {
        "problems": len(evaluation.returns),
        "mean_return": interval.estimate,
        "half_width": None if np.isnan(interval.half_width) else interval.half_width,
        "mean_adequacy": float(evaluation.adequacy.mean()),
        "mean_fluency_penalty": float(evaluation.fluency_penalty.mean()),
        "distinct_tokens": evaluation.distinct_tokens,
        "token_perplexity": evaluation.token_perplexity,
    }


def score_table(by_policy: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """The figures of several policies, best mean return first."""
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for heading in ("return", "± 95 %", "adequacy", "fluency penalty", "distinct tokens", "token perplexity"):
        table.add_column(heading, justify="right")
    for name, row in sorted(by_policy.items(), key=lambda item: -item[1]["mean_return"]):
        table.add_row(
            name,
            f"{row['mean_return']:+.3f}",
            "—" if row["half_width"] is None else f"{row['half_width']:.3f}",
            f"{row['mean_adequacy']:.3f}",
            f"{row['mean_fluency_penalty']:.3f}",
            str(row["distinct_tokens"]),
            f"{row['token_perplexity']:.1f}",
            style="bold" if name in (GREEDY, SAMPLED) else None,
        )
    return table
