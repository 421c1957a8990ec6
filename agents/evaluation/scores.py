"""Score agents and reference policies on held-out problems, as figures and as a table."""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from agents.evaluation.agent import TokenPolicy
from agents.evaluation.statistics import problem_interval, score_interval
from token_env.episodes.evaluate import Evaluation, Policy, adequacy_by_rarity, evaluate
from token_env.episodes.references import REFERENCES, ReferencePolicy, find_reference
from token_env.rules.task import Task, held_out

SAMPLING_SEED = 0
GREEDY, SAMPLED = "agent (greedy)", "agent (sampled)"


def evaluate_agent(agent: TokenPolicy, split: str, ids: Iterable[int]) -> dict[str, dict[str, Any]]:
    """The figures of an agent on these problems, choosing the most probable token, and sampling.

    The samples are the same at every call; torch's generator is left as it was.
    """
    task = held_out(agent.task, split)
    with repeatable_sampling():
        sampled = policy_figures(agent.sampled, task, ids)
    return {GREEDY: policy_figures(agent.greedy, task, ids), SAMPLED: sampled}


@contextmanager
def repeatable_sampling() -> Iterator[None]:
    """Let agents draw the same samples at every call; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SAMPLING_SEED)
        yield


def evaluate_references(
    task: Task, split: str, ids: Iterable[int], names: Iterable[str] = tuple(REFERENCES)
) -> dict[str, dict[str, Any]]:
    """The figures of these reference policies on these problems."""
    return {name: policy_figures(find_reference(name), held_out(task, split), ids) for name in names}


def policy_figures(policy: Policy | ReferencePolicy, task: Task, ids: Iterable[int]) -> dict[str, Any]:
    """The figures of a policy on these problems of the task's split."""
    played = evaluate(policy, ids, task=dataclasses.replace(task, optimum=True))
    recovered = [None if np.isnan(share) else float(share) for share in adequacy_by_rarity(played, task)]
    return figures(played) | {"adequacy_by_rarity": recovered}


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What is reported of a policy: means over problems, and how varied its words were.

    The half width belongs to the 95 % interval of the mean over problems (bootstrap): how far the mean
    would move on other problems, not with another training.
    """
    interval = problem_interval(evaluation.returns)
    score = score_interval(evaluation.returns, evaluation.optimal_returns)
    return {
        "problems": len(evaluation.returns),
        "mean_return": interval.estimate,
        "half_width": _told(interval.half_width),
        "mean_optimum": float(evaluation.optimal_returns.mean()),
        "score": _told(score.estimate),
        "score_half_width": _told(score.half_width),
        "mean_adequacy": float(evaluation.adequacy.mean()),
        "mean_fluency_penalty": float(evaluation.fluency_penalty.mean()),
        "distinct_tokens": evaluation.distinct_tokens,
        "token_perplexity": evaluation.token_perplexity,
    }


def _told(figure: float) -> float | None:
    return None if np.isnan(figure) else figure
