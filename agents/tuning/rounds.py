"""Tune: trials on one set of seeds, the best of them again on a second, the winner's figures from a third.

The third set selects nothing, and test problems are played by the winner alone, at the end.
"""

from collections.abc import Callable

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.algorithms.budget import with_defaults
from agents.settings.schema import Settings
from agents.tuning.objective import own_parameters
from agents.tuning.outcome import Candidate, PromiseCheck, StudyOutcome, _whole, best_trials, read_outcome
from agents.tuning.plan import (
    AGAIN,
    CHECK,
    FINAL,
    TESTED_STAGES,
    Plan,
    begin_study,
    check_versions,
    make_stage,
    read_plan,
    seed_set,
)
from agents.tuning.storages import open_storage
from agents.tuning.trials import LABEL, SEED, SETTINGS, TESTED, Show, Trials, errors_of, waiting_trial
from agents.tuning.worker_pool import WorkerPool
from token_env.errors import SettingError

PRESET, DEFAULTS = "what it began with", "the library's defaults"
Announce = Callable[[str], Show]  # from the title of a stage to what shows it


def tune(url: str, name: str, plan: Plan, total: int, workers: int, announce: Announce) -> StudyOutcome:
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
    with open_storage(url, create=True) as storage, WorkerPool(url, workers) as crew:
        begin_study(storage, name, plan)
        trials = Trials(storage, name)
        own = own_parameters(plan.settings, plan.parameters)
        trials.add(waiting_trial({} if number else own) for number in range(len(trials.all()), total))
        crew.work_off(trials, total, announce(f"{name}: {total} trials"))
        again = _train_again(crew, storage, name, AGAIN, best_trials(trials.all(total), plan), announce)
        winner = again[0]
        _train_again(crew, storage, name, FINAL, {winner.label: winner.settings}, announce)
        return read_outcome(storage, name)


def check(url: str, name: str, workers: int, announce: Announce) -> PromiseCheck:
    """Train the winner of a finished study once more on a fourth set of seeds, and what it has to beat.

    Raises:
        SettingError: no such study, one that is not finished, or one that was made with other versions.
    """
    with open_storage(url) as storage, WorkerPool(url, workers) as crew:
        outcome = read_outcome(storage, name)
        check_versions(name, outcome.plan)
        began = outcome.plan.settings
        listed = {outcome.winner.label: outcome.winner.settings, PRESET: began, DEFAULTS: with_defaults(began)}
        found = {one.label: one for one in _train_again(crew, storage, name, CHECK, listed, announce)}
    return PromiseCheck(outcome, found[outcome.winner.label], [found[PRESET], found[DEFAULTS]])


def _train_again(
    crew: WorkerPool, storage: BaseStorage, name: str, stage: str, listed: dict[str, Settings], announce: Announce
) -> list[Candidate]:
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
        raise SettingError(f"a training of {', '.join(sorted(missing))} failed: {errors_of(trials.all())[-1]}")
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
