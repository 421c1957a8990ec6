"""Tune: trials on one set of seeds, the best of them again on a second, the winner's figures from a third.

The third set selects nothing, and test problems are played by the winner alone, at the end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.algorithms import with_defaults, with_parameters
from agents.crew import Crew, Show
from agents.plan import Plan, begin_study, check_versions, make_stage, read_plan
from agents.settings import Settings
from agents.stats import Interval, paired_interval, prediction_interval
from agents.storages import open_storage
from agents.study import own_parameters, seed_set
from agents.trial import SEED, SETTINGS, TEST_SCORE, TESTED
from agents.trials import ERROR, Trials, waiting_trial
from token_env.errors import SettingError

TESTED_STAGES = ("final", "check")  # which play test problems
LABEL = "label"  # attribute of a trial that only trains again: whose settings these are
PRESET, DEFAULTS = "what it began with", "the library's defaults"
Announce = Callable[[str], Show]  # from the title of a stage to what shows it


class Contender(NamedTuple):
    """Settings that were trained with several seeds, and what came of it."""

    label: str
    settings: Settings
    scores: tuple[float, ...]  # on validation problems, a seed each
    test_scores: tuple[float, ...]  # the same; empty where nothing was tested

    @property
    def mean(self) -> float:
        """Of the scores on validation problems."""
        return sum(self.scores) / len(self.scores)


class Outcome(NamedTuple):
    """What a study came to."""

    plan: Plan
    trials: list[FrozenTrial]
    finalists: list[Contender]  # on the second set of seeds, the best first
    winner: Contender  # on the third, tested

    @property
    def promise(self) -> Interval:
        """Where the mean test score of as many new trainings will lie, with 95 %."""
        return prediction_interval(self.winner.test_scores, self.plan.final_seeds)


class Check(NamedTuple):
    """The winner of a study on a fourth set of seeds, beside others with the same seeds."""

    outcome: Outcome
    winner: Contender
    others: list[Contender]

    @property
    def kept(self) -> bool:
        """Whether the promise held."""
        mean = sum(self.winner.test_scores) / len(self.winner.test_scores)
        return self.outcome.promise.low <= mean <= self.outcome.promise.high

    def gain_over(self, other: Contender) -> Interval:
        """Mean difference of test scores, paired by seed, with its 95 % interval."""
        return paired_interval(self.winner.test_scores, other.test_scores)


def tune(url: str, name: str, plan: Plan, total: int, workers: int, announce: Announce) -> Outcome:
    """Run a study to its end, from where it is.

    Args:
        url: of the storage, complete.
        name: of the study.
        plan: what it tunes.
        total: trials it shall have in all; those that it has are not repeated.
        workers: processes on this host.
        announce: shows how it is getting on.

    Raises:
        SettingError: a study of something else, or no trial that came to an end.
    """
    with open_storage(url, create=True) as storage, Crew(url, workers) as crew:
        begin_study(storage, name, plan)
        trials = Trials(storage, name)
        own = own_parameters(plan.settings, plan.parameters)
        trials.add(waiting_trial({} if number else own) for number in range(len(trials.all()), total))
        crew.work_off(trials, total, announce(f"{name}: {total} trials"))
        again = _train_again(crew, storage, name, "again", best_trials(trials.all(total), plan), announce)
        winner = again[0]
        _train_again(crew, storage, name, "final", {winner.label: winner.settings}, announce)
        return read_outcome(storage, name)


def check(url: str, name: str, workers: int, announce: Announce) -> Check:
    """Train the winner of a finished study once more on a fourth set of seeds, and what it has to beat.

    Raises:
        SettingError: no such study, one that is not finished, or one that was made with other versions.
    """
    with open_storage(url) as storage, Crew(url, workers) as crew:
        outcome = read_outcome(storage, name)
        check_versions(name, outcome.plan)
        began = outcome.plan.settings
        listed = {outcome.winner.label: outcome.winner.settings, PRESET: began, DEFAULTS: with_defaults(began)}
        found = {one.label: one for one in _train_again(crew, storage, name, "check", listed, announce)}
    return Check(outcome, found[outcome.winner.label], [found[PRESET], found[DEFAULTS]])


def read_outcome(storage: BaseStorage, name: str) -> Outcome:
    """What a finished study came to.

    Raises:
        SettingError: no such study, or one that is not finished.
    """
    plan = read_plan(storage, name)
    unfinished = SettingError(f"the study {name!r} is not finished; type the python -m agents.tune run that began it.")
    stages = {study.study_name for study in storage.get_all_studies()}
    if f"{name}.final" not in stages:
        raise unfinished
    finalists = _whole(Trials(storage, f"{name}.again"), plan)
    labels = [one.label for one in finalists]
    final = {one.label: one for one in _whole(Trials(storage, f"{name}.final"), plan)}
    if not labels or labels[0] not in final:
        raise unfinished
    return Outcome(plan, Trials(storage, name).all(), finalists, final[labels[0]])


def best_trials(trials: Sequence[FrozenTrial], plan: Plan) -> dict[str, Settings]:
    """The settings of the trials with the best values, by label.

    Raises:
        SettingError: no trial has a value.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        reasons = [trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs]
        raise SettingError(f"no trial came to its end; the last one: {(reasons or ['nothing is known'])[-1]}")
    best = sorted(complete, key=lambda trial: -(trial.value or 0.0))[: plan.finalists]
    return {f"trial {trial.number}": with_parameters(plan.settings, trial.params) for trial in best}


def _train_again(
    crew: Crew, storage: BaseStorage, name: str, stage: str, listed: dict[str, Settings], announce: Announce
) -> list[Contender]:
    """Train these settings with every seed of the stage's set, a trial each; all that the stage has, the best first.

    Raises:
        SettingError: one of them failed, or in the first of these stages all of them.
    """
    plan, trials = read_plan(storage, name), Trials(storage, make_stage(storage, name, stage))
    there = {_training_of(trial) for trial in trials.all() if trial.state != TrialState.FAIL}
    trials.add(
        waiting_trial(
            attributes={LABEL: label, SEED: seed, SETTINGS: settings.to_dict(), TESTED: stage in TESTED_STAGES}
        )
        for seed in seed_set(stage, plan.final_seeds)
        for label, settings in listed.items()
        if (label, seed) not in there
    )
    _end_twins(trials)
    crew.work_off(trials, None, announce(f"{name}: {', '.join(listed)}, with {plan.final_seeds} new seeds each"))
    found = _whole(trials, plan)
    missing = set(listed) - {one.label for one in found}
    if missing and (stage in TESTED_STAGES or not found):
        reasons = [trial.user_attrs[ERROR] for trial in trials.all() if ERROR in trial.user_attrs]
        raise SettingError(f"a training of {', '.join(sorted(missing))} failed: {reasons[-1]}")
    return found


def _training_of(trial: FrozenTrial) -> tuple[str, int]:
    return trial.user_attrs[LABEL], trial.user_attrs[SEED]


def _end_twins(trials: Trials) -> None:
    """End those that another host has added, too; whoever adds last sees them all."""
    first: set[tuple[str, int]] = set()
    for trial in trials.all():
        if trial.state == TrialState.WAITING and _training_of(trial) in first:
            trials.end(trial.number, TrialState.PRUNED)
        elif trial.state != TrialState.FAIL:
            first.add(_training_of(trial))


def _whole(trials: Trials, plan: Plan) -> list[Contender]:
    """The contenders of a stage all of whose trainings came to their end, the best first."""
    ended: dict[str, dict[int, FrozenTrial]] = {}
    for trial in trials.all():
        if trial.state == TrialState.COMPLETE:
            ended.setdefault(trial.user_attrs[LABEL], {})[trial.user_attrs[SEED]] = trial
    seeds = seed_set(trials.study.rpartition(".")[2], plan.final_seeds)
    found = [_contender(label, [of[seed] for seed in seeds]) for label, of in ended.items() if set(of) >= set(seeds)]
    return sorted(found, key=lambda one: -one.mean)


def _contender(label: str, trials: Sequence[FrozenTrial]) -> Contender:
    tested = tuple(trial.user_attrs[TEST_SCORE] for trial in trials if TEST_SCORE in trial.user_attrs)
    settings = Settings.model_validate(trials[0].user_attrs[SETTINGS])
    return Contender(label, settings, tuple(float(trial.value or 0.0) for trial in trials), tested)
