"""Compare an ensemble with its members on the same problems, in return and in processor time per token."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agents.evaluation.ensemble import Ensemble
from agents.evaluation.scores import TimedEvaluation, evaluate_timed
from agents.evaluation.statistics import Interval, problem_interval
from token_env.rules.task import Task, with_split


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
    named = dict(zip(names, ensemble.members, strict=True))
    *members, combined = evaluate_timed([*named.values(), ensemble], task, list(ids))
    return EnsembleScores(task, dict(zip(named, members, strict=True)), combined)
