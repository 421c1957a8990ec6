"""Score agents and reference policies on held-out problems."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from pydantic import Field

from agents.evaluation.agent import TokenPolicy
from agents.evaluation.statistics import problem_interval, score_interval
from agents.settings.schema import Frozen
from token_env.episodes.evaluate import Evaluation, Policy, adequacy_by_rarity, evaluate
from token_env.episodes.references import REFERENCES, ReferencePolicy, find_reference
from token_env.rules.task import Task, with_split

SAMPLING_SEED = 0
GREEDY, SAMPLED = "agent (greedy)", "agent (sampled)"


class Figures(Frozen):
    """Mean results of a policy over a set of problems."""

    problems: int = Field(ge=1)
    mean_return: float
    mean_adequacy: float
    mean_fluency_penalty: float
    distinct_tokens: int
    token_perplexity: float  # exp of the entropy of the chosen tokens
    # share of the possible adequacy in each quarter of the words, the commonest first; None if none is possible
    adequacy_by_rarity: tuple[float | None, float | None, float | None, float | None]


class Scores(Figures):
    """Figures with half widths of 95 % intervals over problems; half widths are None for a single problem."""

    half_width: float | None  # of the mean return
    mean_optimum: float
    score: float | None  # mean return / mean optimum; None if the mean optimum is not positive
    score_half_width: float | None


def evaluate_agent(agent: TokenPolicy, split: str, ids: Iterable[int]) -> dict[str, Scores]:
    """Score an agent on these problems, once with the most probable tokens and once with sampled tokens.

    The samples are the same at every call; torch's generator is restored.
    """
    task = with_split(agent.task, split)
    with repeatable_sampling():
        sampled = score_policy(agent.sampled, task, ids)
    return {GREEDY: score_policy(agent.greedy, task, ids), SAMPLED: sampled}


@contextmanager
def repeatable_sampling() -> Iterator[None]:
    """Seed the sampling of agents so that every call draws the same samples; torch's generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SAMPLING_SEED)
        yield


def evaluate_references(
    task: Task, split: str, ids: Iterable[int], names: Iterable[str] = tuple(REFERENCES)
) -> dict[str, Scores]:
    """Score reference policies on these problems."""
    return {name: score_policy(find_reference(name), with_split(task, split), ids) for name in names}


def score_policy(policy: Policy | ReferencePolicy, task: Task, ids: Iterable[int]) -> Scores:
    """Score a policy on these problems of the task's split."""
    evaluation = evaluate(policy, ids, task=dataclasses.replace(task, optimum=True))
    shares = [None if np.isnan(share) else float(share) for share in adequacy_by_rarity(evaluation, task)]
    return make_scores(evaluation, shares)


def make_scores(evaluation: Evaluation, adequacy_by_rarity: Sequence[float | None]) -> Scores:
    """Average an evaluation over its problems, with 95 % bootstrap intervals over problems.

    The intervals cover other problems, not other trainings.
    """
    interval = problem_interval(evaluation.returns)
    score = score_interval(evaluation.returns, evaluation.optimal_returns)
    return Scores(
        problems=len(evaluation.returns),
        mean_return=interval.estimate,
        half_width=_none_for_nan(interval.half_width),
        mean_optimum=float(evaluation.optimal_returns.mean()),
        score=_none_for_nan(score.estimate),
        score_half_width=_none_for_nan(score.half_width),
        mean_adequacy=float(evaluation.adequacy.mean()),
        mean_fluency_penalty=float(evaluation.fluency_penalty.mean()),
        distinct_tokens=evaluation.distinct_tokens,
        token_perplexity=evaluation.token_perplexity,
        adequacy_by_rarity=tuple(adequacy_by_rarity),
    )


def _none_for_nan(figure: float) -> float | None:
    return None if np.isnan(figure) else figure
