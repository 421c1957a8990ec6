"""Compare two agents problem by problem, also with vocabularies of different sizes."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from agents.evaluation.agent import Agent, Player
from agents.evaluation.shared_task import smallest_agent
from agents.evaluation.statistics import Interval, probability_of_improvement, problem_interval
from token_env.episodes.evaluate import Evaluation, evaluate
from token_env.rules.task import Task, with_split


class Comparison(NamedTuple):
    """Evaluations of two agents, A and B, on the same problems with their most probable tokens."""

    task: Task  # played by both
    a: Evaluation
    b: Evaluation

    @property
    def difference(self) -> Interval:
        """Mean return of A - B with its 95 % bootstrap interval over problems; it does not cover other trainings."""
        return problem_interval(self.a.returns - self.b.returns)

    @property
    def win_rate(self) -> float:
        """Share of problems on which A has the higher return; ties count half."""
        return float((np.sign(self.a.returns - self.b.returns) + 1.0).mean() / 2.0)

    @property
    def probability_of_improvement(self) -> float:
        """Probability that A on a random problem has a higher return than B on another; 0.5 if neither is better."""
        return probability_of_improvement(self.a.returns, self.b.returns)


def compare(a: Agent, b: Agent, split: str, problem_ids: Iterable[int]) -> Comparison:
    """Evaluate two agents on the same problems.

    If one agent has the larger vocabulary, both play the task of the other, with its problems, rewards and features.
    The larger distribution is cut to the shared ranks, which preserves the order of their probabilities.

    Raises:
        SettingError: The agents have different languages or different observations.
    """
    smaller = smallest_agent((a, b))
    task = with_split(smaller.task, split)
    ids = list(problem_ids)
    return Comparison(task, *(evaluate(Player(agent, ranks=task.vocab_size), ids, task=task) for agent in (a, b)))


def verdict(difference: Interval) -> str:
    """Name the better agent, if the interval of the difference excludes zero."""
    if difference.low > 0:
        return "A is better"
    return "B is better" if difference.high < 0 else "no difference shown"
