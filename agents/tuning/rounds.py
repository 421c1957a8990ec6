"""Run the stages of a study: trials, finalists on fresh seeds, the winner's final scores, and a later check.

Each stage has its own set of seeds. The third set selects nothing, and only the winner plays test problems.
"""

from collections.abc import Callable

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from agents.algorithms.budget import with_defaults
from agents.settings.schema import Settings
from agents.tuning.objective import own_parameters
from agents.tuning.outcome import Candidate, StudyOutcome, WinnerCheck, best_trials, complete_candidates, read_outcome
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
from agents.tuning.trials import LABEL, SEED, SETTINGS, TESTED, Show, Trials, error_messages, waiting_trial
from agents.tuning.worker_pool import WorkerPool
from token_env.errors import SettingError

PRESET, DEFAULTS = "what it began with", "the library's defaults"  # labels of the baselines, stored in studies
BeginStage = Callable[[str], Show]  # takes the title of a stage, returns the function that shows its trials


def run_study(url: str, name: str, plan: Plan, total: int, workers: int, begin_stage: BeginStage) -> StudyOutcome:
    """Run a study to its end: create it, resume it, or join other hosts.

    Args:
        url: Complete URL of the storage.
        name: Name of the study.
        plan: Plan of the study.
        total: Total number of trials; finished ones are not repeated.
        workers: Number of worker processes on this host.
        begin_stage: Function that starts the progress display of a stage.

    Raises:
        SettingError: The study exists with another plan, no trial is complete, or a final training failed.
    """
    with open_storage(url, create=True) as storage, WorkerPool(url, workers) as pool:
        begin_study(storage, name, plan)
        trials = Trials(storage, name)
        preset = own_parameters(plan.settings, plan.parameters)
        trials.add(waiting_trial({} if number else preset) for number in range(len(trials.all()), total))
        pool.run_trials(trials, total, begin_stage(f"{name}: {total} trials"))
        winner = _run_stage(pool, storage, name, AGAIN, best_trials(trials.all(total), plan), begin_stage)[0]
        _run_stage(pool, storage, name, FINAL, {winner.label: winner.settings}, begin_stage)
        return read_outcome(storage, name)


def check_winner(url: str, name: str, workers: int, begin_stage: BeginStage) -> WinnerCheck:
    """Train the winner of a finished study and its baselines on a fourth set of seeds.

    Args:
        url: Complete URL of the storage.
        name: Name of the study.
        workers: Number of worker processes on this host.
        begin_stage: Function that starts the progress display of a stage.

    Raises:
        SettingError: Unknown or unfinished study, other library versions, or a failed training.
    """
    with open_storage(url) as storage, WorkerPool(url, workers) as pool:
        outcome = read_outcome(storage, name)
        check_versions(name, outcome.plan)
        preset = outcome.plan.settings
        candidates = {outcome.winner.label: outcome.winner.settings, PRESET: preset, DEFAULTS: with_defaults(preset)}
        stage = _run_stage(pool, storage, name, CHECK, candidates, begin_stage)
    by_label = {candidate.label: candidate for candidate in stage}
    return WinnerCheck(outcome, by_label[outcome.winner.label], [by_label[PRESET], by_label[DEFAULTS]])


def _run_stage(
    pool: WorkerPool,
    storage: BaseStorage,
    name: str,
    stage: str,
    candidates: dict[str, Settings],
    begin_stage: BeginStage,
) -> list[Candidate]:
    """Train each candidate once per seed of the stage, and return all candidates of the stage, the best first.

    Raises:
        SettingError: A training of a tested stage failed, or no candidate of another stage is complete.
    """
    plan, trials = read_plan(storage, name), Trials(storage, make_stage(storage, name, stage))
    existing = {_label_and_seed(trial) for trial in trials.all() if trial.state != TrialState.FAIL}
    trials.add(
        waiting_trial(
            attributes={LABEL: label, SEED: seed, SETTINGS: settings.to_dict(), TESTED: stage in TESTED_STAGES}
        )
        for seed in seed_set(stage, plan.final_seeds)
        for label, settings in candidates.items()
        if (label, seed) not in existing
    )
    _prune_duplicates(trials)
    title = f"{name}: {', '.join(candidates)}, with {plan.final_seeds} new seeds each"
    pool.run_trials(trials, None, begin_stage(title))
    complete = complete_candidates(trials, plan)
    missing = set(candidates) - {candidate.label for candidate in complete}
    if missing and (stage in TESTED_STAGES or not complete):
        raise SettingError(f"a training of {', '.join(sorted(missing))} failed: {error_messages(trials.all())[-1]}")
    return complete


def _label_and_seed(trial: FrozenTrial) -> tuple[str, int]:
    return trial.user_attrs[LABEL], trial.user_attrs[SEED]


def _prune_duplicates(trials: Trials) -> None:
    """Prune waiting duplicates enqueued by concurrent hosts; the host that enqueues last prunes all of them."""
    trainings: set[tuple[str, int]] = set()
    for trial in trials.all():
        if trial.state == TrialState.WAITING and _label_and_seed(trial) in trainings:
            trials.end(trial.number, TrialState.PRUNED)
        elif trial.state != TrialState.FAIL:
            trainings.add(_label_and_seed(trial))
