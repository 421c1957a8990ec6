"""Run one trial of a study in a process of its own, which ends when the process that started it does."""

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
from agents.tuning.objective import report_once, score_on, suggested, train_and_score, try_out
from agents.tuning.plan import STAGES, TRIALS, read_plan, seed_set
from agents.tuning.samplers import make_pruner, make_sampler
from agents.tuning.storages import of_the_storage, open_storage
from agents.tuning.trials import SEED, SETTINGS, TEST_SCORE, TESTED, Trials

GIVEN_UP = 3  # exit code where the process that started this one has gone
MOST_WORDS = 500  # characters kept of an error


def run_trial(url: str, study: str, total: int | None, log: str) -> None:
    """Claim the next trial that waits, and run it; what a process of `agents.crew` does.

    Args:
        url: of the storage, complete.
        study: its name.
        total: trials of it that are to be run; None: all.
        log: file that takes what is printed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_storage(url) as storage:
        trials = Trials(storage, study)
        number = trials.claim(total)
        if number is not None:
            with trials.beating(number):
                play(trials, number)


def play(trials: Trials, number: int) -> None:
    """Run a trial that this process has claimed, and end it: with a value, pruned, or failed with the reason."""
    plan = read_plan(trials.storage, _begun_as(trials.study))
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
            raise FloatingPointError(f"its value is {value}")
        trials.end(number, TrialState.COMPLETE, value)
    except TrialPruned:
        reported = trials.storage.get_trial(trials.id_of(number)).intermediate_values
        trials.end(number, TrialState.PRUNED, reported[max(reported)])
    except UpdateFinishedTrialError:
        return  # another process was given the same trial, and was faster
    except Exception as error:
        if of_the_storage(error):
            raise  # the trial is as good as before: it waits again
        trials.fail(number, f"{type(error).__name__}: {error}".strip()[:MOST_WORDS])


def train_again(trial: Trial) -> float:
    """What a training with the settings and the seed of this trial is worth; tested afterwards if it says so."""
    told = trial.user_attrs
    settings = Settings.model_validate(told[SETTINGS]).model_copy(update={"seed": told[SEED]})
    value, agent = train_and_score(settings, lambda evaluation, score: report_once(trial, score, evaluation))
    if told[TESTED]:
        trial.set_user_attr(TEST_SCORE, score_on(agent, "test"))
    return value


def _begun_as(study: str) -> str:
    """The study that this one belongs to."""
    name, _, stage = study.rpartition(".")
    return name if stage in STAGES else study


def _leave(*_: int | FrameType | None) -> None:
    sys.exit(GIVEN_UP)  # by an exception, which gives locks free


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(GIVEN_UP)
