"""Read the outcome of a finished study: finalists, winner, and the interval it promises."""

from collections.abc import Sequence
from typing import NamedTuple

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.algorithms.table import with_parameters
from agents.evaluation.statistics import Interval, paired_interval, prediction_interval
from agents.settings.schema import Settings
from agents.tuning.plan import AGAIN, FINAL, Plan, read_plan, seed_set
from agents.tuning.trials import LABEL, SEED, SETTINGS, TEST_SCORE, Trials, errors_of
from token_env.errors import SettingError


class Candidate(NamedTuple):
    """Settings that were trained with several seeds, and what came of it."""

    label: str
    settings: Settings
    scores: tuple[float, ...]  # on validation problems, a seed each
    test_scores: tuple[float, ...]  # the same; empty where nothing was tested

    @property
    def mean(self) -> float:
        """Of the scores on validation problems."""
        return sum(self.scores) / len(self.scores)


class StudyOutcome(NamedTuple):
    """What a study came to."""

    plan: Plan
    trials: list[FrozenTrial]
    finalists: list[Candidate]  # on the second set of seeds, the best first
    winner: Candidate  # on the third, tested

    @property
    def promise(self) -> Interval:
        """Where the mean test score of as many new trainings will lie, with 95 %."""
        return prediction_interval(self.winner.test_scores, self.plan.final_seeds)


class PromiseCheck(NamedTuple):
    """The winner of a study on a fourth set of seeds, beside others with the same seeds."""

    outcome: StudyOutcome
    winner: Candidate
    others: list[Candidate]

    @property
    def kept(self) -> bool:
        """Whether the promise held."""
        mean = sum(self.winner.test_scores) / len(self.winner.test_scores)
        return self.outcome.promise.low <= mean <= self.outcome.promise.high

    def gain_over(self, other: Candidate) -> Interval:
        """Mean difference of test scores, paired by seed, with its 95 % interval."""
        return paired_interval(self.winner.test_scores, other.test_scores)


def read_outcome(storage: BaseStorage, name: str) -> StudyOutcome:
    """What a finished study came to.

    Raises:
        SettingError: no such study, or one that is not finished.
    """
    plan = read_plan(storage, name)
    unfinished = SettingError(f"the study {name!r} is not finished; type the python -m agents.tune run that began it.")
    stages = {study.study_name for study in storage.get_all_studies()}
    if f"{name}.{FINAL}" not in stages:
        raise unfinished
    finalists = _whole(Trials(storage, f"{name}.{AGAIN}"), plan)
    labels = [one.label for one in finalists]
    final = {one.label: one for one in _whole(Trials(storage, f"{name}.{FINAL}"), plan)}
    if not labels or labels[0] not in final:
        raise unfinished
    return StudyOutcome(plan, Trials(storage, name).all(), finalists, final[labels[0]])


def best_trials(trials: Sequence[FrozenTrial], plan: Plan) -> dict[str, Settings]:
    """The settings of the trials with the best values, by label.

    Raises:
        SettingError: no trial has a value.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise SettingError(f"no trial came to its end; the last one: {(errors_of(trials) or ['nothing is known'])[-1]}")
    best = sorted(complete, key=lambda trial: -(trial.value or 0.0))[: plan.finalists]
    return {f"trial {trial.number}": with_parameters(plan.settings, trial.params) for trial in best}


def _whole(trials: Trials, plan: Plan) -> list[Candidate]:
    """The contenders of a stage all of whose trainings came to their end, the best first."""
    ended: dict[str, dict[int, FrozenTrial]] = {}
    for trial in trials.all():
        if trial.state == TrialState.COMPLETE:
            ended.setdefault(trial.user_attrs[LABEL], {})[trial.user_attrs[SEED]] = trial
    seeds = seed_set(trials.study.rpartition(".")[2], plan.final_seeds)
    found = [_contender(label, [of[seed] for seed in seeds]) for label, of in ended.items() if set(of) >= set(seeds)]
    return sorted(found, key=lambda one: -one.mean)


def _contender(label: str, trials: Sequence[FrozenTrial]) -> Candidate:
    tested = tuple(trial.user_attrs[TEST_SCORE] for trial in trials if TEST_SCORE in trial.user_attrs)
    settings = Settings.model_validate(trials[0].user_attrs[SETTINGS])
    return Candidate(label, settings, tuple(float(trial.value or 0.0) for trial in trials), tested)
