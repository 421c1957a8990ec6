"""Score agents and reference policies on held-out problems, and time agents."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import Field

from agents.evaluation.agent import BoolArray, Player, TokenPolicy
from agents.evaluation.statistics import problem_interval, score_interval
from agents.settings.schema import Frozen
from token_env.episodes.evaluate import ROWS, EpisodePolicy, Evaluation, Policy, adequacy_by_rarity, evaluate
from token_env.episodes.references import REFERENCES, ReferencePolicy, find_reference
from token_env.rules.observations import Observations
from token_env.rules.task import Task, with_split

SAMPLING_SEED = 0
PROBLEMS_TIMED_ALONE = 10  # problems played one at a time to time a token
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
        half_width=none_for_nan(interval.half_width),
        mean_optimum=float(evaluation.optimal_returns.mean()),
        score=none_for_nan(score.estimate),
        score_half_width=none_for_nan(score.half_width),
        mean_adequacy=float(evaluation.adequacy.mean()),
        mean_fluency_penalty=float(evaluation.fluency_penalty.mean()),
        distinct_tokens=evaluation.distinct_tokens,
        token_perplexity=evaluation.token_perplexity,
        adequacy_by_rarity=tuple(adequacy_by_rarity),
    )


def none_for_nan(figure: float) -> float | None:
    """Return None for NaN, since JSON has none, and any other figure as it is."""
    return None if np.isnan(figure) else figure


class TimedPlayer:
    """A policy that measures the processor time per token of every step."""

    def __init__(self, policy: EpisodePolicy) -> None:
        self._policy = policy
        self.milliseconds: list[float] = []

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> ArrayLike:
        """Return the tokens of this step, [N]; see `token_env.EpisodePolicy`."""
        start = time.process_time()
        tokens = self._policy.act(observations, episode_starts, action_masks)
        self.milliseconds.append(1000 * (time.process_time() - start) / len(observations))
        return tokens

    @property
    def ms_per_token(self) -> float:
        """Median processor time per token over the steps, in milliseconds; the first steps take longer."""
        return float(np.median(self.milliseconds))


class TimedEvaluation(NamedTuple):
    """Evaluation and speed of a policy with its most probable tokens."""

    evaluation: Evaluation
    ms_per_token_alone: float  # processor time of all threads per token, in milliseconds, one problem at a time
    ms_per_token_batched: float  # the same with up to `ROWS` problems at once


def evaluate_timed(policies: Sequence[TokenPolicy], task: Task, ids: Sequence[int]) -> list[TimedEvaluation]:
    """Evaluate policies on the same problems, in turns, so that other work on the machine slows all of them alike.

    Args:
        policies: Agents and ensembles; larger vocabularies are cut to the task's.
        task: Task to play, with its split.
        ids: Ids of the problems.
    """
    players = [Player(policy, ranks=task.vocab_size) for policy in policies]
    alone, batched = ([TimedPlayer(player) for player in players] for _ in range(2))
    for problem in ids[:PROBLEMS_TIMED_ALONE]:
        for timed in alone:
            evaluate(timed, [problem], task=task)
    for timed in reversed(batched):
        evaluate(timed, ids[:ROWS], task=task)
    scored = dataclasses.replace(task, optimum=True)
    return [
        TimedEvaluation(evaluate(together, ids, task=scored), one.ms_per_token, together.ms_per_token)
        for one, together in zip(alone, batched, strict=True)
    ]
