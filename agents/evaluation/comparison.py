"""Compare two agents problem by problem, also where one of them knows more tokens than the other."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from agents.evaluation.agent import Agent, Player
from agents.evaluation.shared_task import smallest_agent
from agents.evaluation.statistics import Interval, probability_of_improvement, problem_interval
from token_env.episodes.evaluate import Evaluation, evaluate
from token_env.rules.task import Task, held_out


class Comparison(NamedTuple):
    """What two agents, A and B, earned on the same problems with their most probable tokens."""

    task: Task  # which both played
    a: Evaluation
    b: Evaluation

    @property
    def difference(self) -> Interval:
        """Mean of A - B, with its 95 % bootstrap interval over problems: for these two agents, not other trainings."""
        return problem_interval(self.a.returns - self.b.returns)

    @property
    def win_rate(self) -> float:
        """The share of problems on which A earned more than B, ties counting half."""
        return float((np.sign(self.a.returns - self.b.returns) + 1.0).mean() / 2.0)

    @property
    def probability_of_improvement(self) -> float:
        """How often A on one problem earns more than B on another or the same one; 0.5: neither is better."""
        return probability_of_improvement(self.a.returns, self.b.returns)


def compare(a: Agent, b: Agent, split: str, problem_ids: Iterable[int]) -> Comparison:
    """Let two agents play the same problems.

    Where one knows more tokens, both play the other one's environment, with its problems, rewards and features;
    the larger one's distribution is cut to the shared ranks, which leaves the order of their probabilities.

    Raises:
        SettingError: agents of different languages, or that see different observations.
    """
    smaller = smallest_agent((a, b))
    task = held_out(smaller.task, split)
    ids = list(problem_ids)
    return Comparison(task, *(evaluate(Player(agent, ranks=task.vocab_size), ids, task=task) for agent in (a, b)))


def verdict(difference: Interval) -> str:
    """Which agent is better on such problems, if the interval of the difference excludes zero."""
    if difference.low > 0:
        return "A is better"
    return "B is better" if difference.high < 0 else "no difference shown"
