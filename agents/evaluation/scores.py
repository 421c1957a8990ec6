"""Score agents and reference policies on held-out problems, as figures and as a table."""

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
from token_env.rules.task import Task, held_out

SAMPLING_SEED = 0
GREEDY, SAMPLED = "agent (greedy)", "agent (sampled)"


class Figures(Frozen):
    """What a policy earned on a set of problems: means over them."""

    problems: int = Field(ge=1)
    mean_return: float
    mean_adequacy: float
    mean_fluency_penalty: float
    distinct_tokens: int
    token_perplexity: float  # exp of the entropy of the tokens said
    # share of adequacy recovered in each quarter of the words, the commonest first; None where there is none to recover
    adequacy_by_rarity: tuple[float | None, float | None, float | None, float | None]


class Scores(Figures):
    """Figures with half widths of 95 % intervals over problems, which are None for a single problem."""

    half_width: float | None  # of the mean return
    mean_optimum: float
    score: float | None  # mean return / mean optimum; None where the optimum is not above zero
    score_half_width: float | None


def evaluate_agent(agent: TokenPolicy, split: str, ids: Iterable[int]) -> dict[str, Scores]:
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
) -> dict[str, Scores]:
    """The figures of these reference policies on these problems."""
    return {name: policy_figures(find_reference(name), held_out(task, split), ids) for name in names}


def policy_figures(policy: Policy | ReferencePolicy, task: Task, ids: Iterable[int]) -> Scores:
    """The figures of a policy on these problems of the task's split."""
    played = evaluate(policy, ids, task=dataclasses.replace(task, optimum=True))
    recovered = [None if np.isnan(share) else float(share) for share in adequacy_by_rarity(played, task)]
    return make_scores(played, recovered)


def make_scores(evaluation: Evaluation, adequacy_by_rarity: Sequence[float | None]) -> Scores:
    """Average an evaluation over its problems, with 95 % bootstrap intervals over problems.

    An interval tells how far the mean would move on other problems, not with another training.
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
