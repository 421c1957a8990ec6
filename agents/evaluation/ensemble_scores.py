"""Tell what an ensemble is worth beside its members on the same problems, and what a token of each costs."""

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
from token_env.rules.task import Task, held_out

TIMED_ALONE = 10  # problems that are played one at a time, for the time of a token


class Timed:
    """A policy that plays episodes, with a clock: how much processor time a token took at each of its steps."""

    def __init__(self, policy: EpisodePolicy) -> None:
        self._policy = policy
        self.milliseconds: list[float] = []

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> ArrayLike:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        started = time.process_time()
        said = self._policy.act(observations, episode_starts, action_masks)
        self.milliseconds.append(1000 * (time.process_time() - started) / len(observations))
        return said

    @property
    def a_token(self) -> float:
        """Milliseconds, the median over the steps: the first ones take longer."""
        return float(np.median(self.milliseconds))


class Played(NamedTuple):
    """What a member or the ensemble did with its most probable tokens."""

    evaluation: Evaluation
    alone: float  # milliseconds of processor time a token, of all threads, where one problem is played
    side_by_side: float  # the same where many are, `ROWS` at most


class EnsembleScores(NamedTuple):
    """An ensemble beside its members."""

    task: Task  # which all played
    members: Mapping[str, Played]  # by name
    ensemble: Played

    def gain(self, member: str) -> Interval:
        """Mean of ensemble - member, with its 95 % bootstrap interval over problems: for these agents."""
        return problem_interval(self.ensemble.evaluation.returns - self.members[member].evaluation.returns)

    @property
    def verdict(self) -> str:
        """Whether it beats every member, by intervals that exclude zero."""
        gains = {name: self.gain(name) for name in self.members}
        worse = [name for name, gain in gains.items() if gain.high < 0]
        open_still = [name for name, gain in gains.items() if not (gain.low > 0 or gain.high < 0)]  # NaN, too
        if not worse and not open_still:
            return "the ensemble is better than every member"
        if worse:
            return f"the ensemble is worse than {', '.join(worse)}"
        return f"no difference shown between the ensemble and {', '.join(open_still)}"


def play_beside_members(ensemble: Ensemble, names: Iterable[str], split: str, ids: Iterable[int]) -> EnsembleScores:
    """Let an ensemble and its members, which have these names, play the same problems: the smallest one's.

    Members are kept to masks as they were trained, the ensemble where one of its members was.
    """
    task = held_out(ensemble.task, split)
    players = [Player(member, ranks=task.vocab_size) for member in ensemble.members]
    *members, whole = (_played(player, task, list(ids)) for player in (*players, ensemble.greedy))
    return EnsembleScores(task, dict(zip(names, members, strict=True)), whole)


def _played(player: EpisodePolicy, task: Task, ids: list[int]) -> Played:
    alone, side_by_side = Timed(player), Timed(player)
    for problem in ids[:TIMED_ALONE]:
        evaluate(alone, [problem], task=task)
    evaluation = evaluate(side_by_side, ids, task=dataclasses.replace(task, optimum=True))
    return Played(evaluation, alone.a_token, side_by_side.a_token)
