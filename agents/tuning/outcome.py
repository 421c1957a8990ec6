"""Read the outcome of a finished study: finalists, winner, and the prediction interval of its test score."""

from collections.abc import Sequence
from typing import NamedTuple

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.algorithms.table import with_parameters
from agents.evaluation.statistics import Interval, paired_interval, prediction_interval
from agents.settings.schema import Settings
from agents.tuning.plan import AGAIN, FINAL, Plan, read_plan, seed_set
from agents.tuning.trials import LABEL, SEED, SETTINGS, TEST_SCORE, Trials, error_messages
from token_env.errors import SettingError

MIN_SEEDS_FOR_PREDICTION = 3  # two scores that happen to be close would promise too much


class Candidate(NamedTuple):
    """Settings that were trained once per seed of a stage, with their scores."""

    label: str
    settings: Settings
    scores: tuple[float, ...]  # validation score of each seed
    test_scores: tuple[float, ...]  # test score of each seed; empty in stages without tests

    @property
    def mean(self) -> float:
        """Mean score on validation problems."""
        return sum(self.scores) / len(self.scores)


class StudyOutcome(NamedTuple):
    """The outcome of a finished study."""

    plan: Plan
    trials: list[FrozenTrial]
    finalists: list[Candidate]  # trained on the second set of seeds, the best first
    winner: Candidate  # trained and tested on the third set of seeds

    @property
    def prediction(self) -> Interval | None:
        """95 % prediction interval of the mean test score over `final_seeds` new seeds; None from too few seeds."""
        if len(self.winner.test_scores) < MIN_SEEDS_FOR_PREDICTION:
            return None
        return prediction_interval(self.winner.test_scores, self.plan.final_seeds)


class WinnerCheck(NamedTuple):
    """The winner of a study and its baselines, trained and tested on a fourth set of seeds."""

    outcome: StudyOutcome
    winner: Candidate
    baselines: list[Candidate]

    @property
    def mean(self) -> float:
        """Mean test score of the winner."""
        return sum(self.winner.test_scores) / len(self.winner.test_scores)

    @property
    def as_predicted(self) -> bool | None:
        """Whether the mean test score lies in the prediction interval of the study; None if it predicted nothing."""
        prediction = self.outcome.prediction
        return None if prediction is None else prediction.low <= self.mean <= prediction.high

    def gain_over(self, baseline: Candidate) -> Interval:
        """Return the mean test-score difference from a baseline, paired by seed, with its 95 % interval."""
        return paired_interval(self.winner.test_scores, baseline.test_scores)


def read_outcome(storage: BaseStorage, name: str) -> StudyOutcome:
    """Return the outcome of a finished study.

    Raises:
        SettingError: Unknown or unfinished study.
    """
    plan = read_plan(storage, name)
    unfinished = SettingError(
        f"the study {name!r} is not finished; repeat the python -m agents.tune run command that started it."
    )
    stages = {study.study_name for study in storage.get_all_studies()}
    if f"{name}.{FINAL}" not in stages:
        raise unfinished
    finalists = complete_candidates(Trials(storage, f"{name}.{AGAIN}"), plan)
    tested = {candidate.label: candidate for candidate in complete_candidates(Trials(storage, f"{name}.{FINAL}"), plan)}
    if not finalists or finalists[0].label not in tested:
        raise unfinished
    return StudyOutcome(plan, Trials(storage, name).all(), finalists, tested[finalists[0].label])


def best_trials(trials: Sequence[FrozenTrial], plan: Plan) -> dict[str, Settings]:
    """Return the settings of the best trials, as many as there are finalists, by label.

    Raises:
        SettingError: No trial is complete.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        errors = error_messages(trials) or ["no reason was recorded"]
        raise SettingError(f"no trial of the study is complete; the last error: {errors[-1]}")
    best = sorted(complete, key=lambda trial: -(trial.value or 0.0))[: plan.finalists]
    return {f"trial {trial.number}": with_parameters(plan.settings, trial.params) for trial in best}


def complete_candidates(trials: Trials, plan: Plan) -> list[Candidate]:
    """Return the candidates of a stage that completed a training on every seed, the best first."""
    complete: dict[str, dict[int, FrozenTrial]] = {}  # by label and seed
    for trial in trials.all():
        if trial.state == TrialState.COMPLETE:
            complete.setdefault(trial.user_attrs[LABEL], {})[trial.user_attrs[SEED]] = trial
    seeds = seed_set(trials.study.rpartition(".")[2], plan.final_seeds)
    candidates = [
        _candidate(label, [by_seed[seed] for seed in seeds])
        for label, by_seed in complete.items()
        if set(by_seed) >= set(seeds)
    ]
    return sorted(candidates, key=lambda candidate: -candidate.mean)


def _candidate(label: str, trials: Sequence[FrozenTrial]) -> Candidate:
    test_scores = tuple(trial.user_attrs[TEST_SCORE] for trial in trials if TEST_SCORE in trial.user_attrs)
    settings = Settings.model_validate(trials[0].user_attrs[SETTINGS])
    return Candidate(label, settings, tuple(float(trial.value or 0.0) for trial in trials), test_scores)
