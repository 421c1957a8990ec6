"""Compare an ensemble with its members on the same problems, in return and in processor time per token."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from agents.evaluation.agent import BoolArray, Player
from agents.evaluation.ensemble import Ensemble
from agents.evaluation.statistics import Interval, problem_interval
from token_env.episodes.evaluate import EpisodePolicy, Evaluation, evaluate
from token_env.rules.observations import Observations
from token_env.rules.task import Task, with_split

PROBLEMS_TIMED_ALONE = 10  # problems played one at a time to time a token


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
    """Evaluation and speed of a member or the ensemble, with its most probable tokens."""

    evaluation: Evaluation
    ms_per_token_alone: float  # processor time of all threads per token, in milliseconds, one problem at a time
    ms_per_token_batched: float  # the same with up to `ROWS` problems at once


class EnsembleScores(NamedTuple):
    """Evaluations of an ensemble and its members on the same problems."""

    task: Task  # played by all
    members: Mapping[str, TimedEvaluation]  # by name
    ensemble: TimedEvaluation

    def gain(self, member: str) -> Interval:
        """Return the mean return of ensemble - member with its 95 % bootstrap interval over problems."""
        return problem_interval(self.ensemble.evaluation.returns - self.members[member].evaluation.returns)

    @property
    def verdict(self) -> str:
        """Verdict on the ensemble against every member, by intervals that exclude zero."""
        gains = {name: self.gain(name) for name in self.members}
        worse = [name for name, gain in gains.items() if gain.high < 0]
        undecided = [name for name, gain in gains.items() if not (gain.low > 0 or gain.high < 0)]  # or NaN
        if not worse and not undecided:
            return "the ensemble is better than every member"
        if worse:
            return f"the ensemble is worse than {', '.join(worse)}"
        return f"no difference shown between the ensemble and {', '.join(undecided)}"


def compare_with_members(ensemble: Ensemble, names: Iterable[str], split: str, ids: Iterable[int]) -> EnsembleScores:
    """Evaluate an ensemble and its members on the same problems of the smallest member's task.

    A member uses action masks if it was trained with them; the ensemble uses them if any member does.

    Args:
        ensemble: Ensemble to evaluate.
        names: Names of the members, in their order.
        split: Split of the problems.
        ids: Ids of the problems.
    """
    task = with_split(ensemble.task, split)
    players = [Player(member, ranks=task.vocab_size) for member in ensemble.members]
    *members, combined = (_timed_evaluation(player, task, list(ids)) for player in (*players, ensemble.greedy))
    return EnsembleScores(task, dict(zip(names, members, strict=True)), combined)


def _timed_evaluation(player: EpisodePolicy, task: Task, ids: list[int]) -> TimedEvaluation:
    alone, batched = TimedPlayer(player), TimedPlayer(player)
    for problem in ids[:PROBLEMS_TIMED_ALONE]:
        evaluate(alone, [problem], task=task)
    evaluation = evaluate(batched, ids, task=dataclasses.replace(task, optimum=True))
    return TimedEvaluation(evaluation, alone.ms_per_token, batched.ms_per_token)
