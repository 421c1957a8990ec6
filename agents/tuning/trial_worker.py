"""Run one trial of a study in a worker process that stops when its parent process stops."""

import math
import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType

import optuna
from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from agents.settings.schema import Settings
from agents.tuning.objective import report_value, score_on, suggested, train_and_score, try_out
from agents.tuning.plan import STAGES, TRIALS, read_plan, seed_set
from agents.tuning.samplers import make_pruner, make_sampler
from agents.tuning.storages import is_storage_error, open_storage
from agents.tuning.trials import SEED, SETTINGS, TEST_SCORE, TESTED, Trials

STOPPED_EXIT_CODE = 3  # after SIGTERM, or after the death of the parent process
MAX_ERROR_CHARACTERS = 500  # longer error messages are cut off in the trial's attribute


def run_trial(url: str, study: str, total: int | None, log: str) -> None:
    """Claim the next waiting trial and run it: the main function of a worker process of `WorkerPool`.

    Args:
        url: Complete URL of the storage.
        study: Name of the study.
        total: Number of trials to run, counted from trial 0; None for all.
        log: Path of the file that receives standard output and standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_storage(url) as storage:
        trials = Trials(storage, study)
        number = trials.claim(total)
        if number is not None:
            with trials.heartbeat(number):
                run_claimed_trial(trials, number)


def run_claimed_trial(trials: Trials, number: int) -> None:
    """Run a trial claimed by this process, and finish it as complete, pruned or failed.

    Raises:
        Exception: An error of the storage; the trial keeps running until `Trials.requeue_lost` requeues it.
    """
    plan = read_plan(trials.storage, _parent_study(trials.study))
    study = optuna.load_study(
        study_name=trials.study,
        storage=trials.storage,
        sampler=make_sampler(plan.sampler, plan.seed, number),
        pruner=make_pruner(plan.pruner, plan.seeds),
    )
    trial = Trial(study, trials.id_of(number))
    try:
        if SETTINGS in trial.user_attrs:
            value = train_again(trial)
        else:
            settings = suggested(trial, plan.settings, plan.parameters)
            value = try_out(trial, settings, seed_set(TRIALS, plan.seeds))
        if not math.isfinite(value):
            raise FloatingPointError(f"the value of the trial is {value}")
        trials.end(number, TrialState.COMPLETE, value)
    except TrialPruned:
        reported = trials.storage.get_trial(trials.id_of(number)).intermediate_values
        trials.end(number, TrialState.PRUNED, reported[max(reported)])
    except UpdateFinishedTrialError:
        return  # another process ran the same trial and finished first
    except Exception as error:
        if is_storage_error(error):
            raise  # not the trial's fault: it will be requeued
        trials.fail(number, f"{type(error).__name__}: {error}".strip()[:MAX_ERROR_CHARACTERS])


def train_again(trial: Trial) -> float:
    """Train with the settings and seed of this trial's attributes, and return the score.

    A trial of a tested stage also plays test problems and stores the test score.

    Raises:
        FloatingPointError: Weights or scores are not finite.
    """
    attributes = trial.user_attrs
    settings = Settings.model_validate(attributes[SETTINGS]).model_copy(update={"seed": attributes[SEED]})
    score, agent = train_and_score(settings, lambda evaluation, value: report_value(trial, value, evaluation))
    if attributes[TESTED]:
        trial.set_user_attr(TEST_SCORE, score_on(agent, "test"))
    return score


def _parent_study(study: str) -> str:
    """Return the name of the study that has the plan: without the suffix of a stage."""
    name, _, stage = study.rpartition(".")
    return name if stage in STAGES else study


def _exit_on_sigterm(*_: int | FrameType | None) -> None:
    sys.exit(STOPPED_EXIT_CODE)  # raises SystemExit, which releases locks


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(STOPPED_EXIT_CODE)
