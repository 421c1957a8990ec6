"""Short studies of the tests of tuning, and looks at their trials."""

import contextlib
import os
import time

from optuna.trial import TrialState

from agents.tuning.plan import Plan
from agents.tuning.storages import open_storage
from agents.tuning.trial_worker import run_claimed_trial
from agents.tuning.trials import MAX_ATTEMPTS, Trials, attempts_without_progress, owner_of
from tests.support.processes import SECONDS
from tests.support.settings import quick_settings

SOAK = bool(os.environ.get("SOAK"))


def quietly(title):
    return lambda trials, news: None


def plan(**more):
    """The shortest of studies, whose trials do not depend on each other."""
    plain = {"seeds": 1, "finalists": 1, "final_seeds": 2, "sampler": "random", "pruner": "none"}
    return Plan(**{"settings": quick_settings()} | plain | more)


def trials_of(url, study):
    with open_storage(url) as storage:
        return Trials(storage, study).all()


EPISODES = 80 if SOAK else 24


def command(url, study, trials, workers):
    """The words of a command with the plan of `in_process`."""
    words = ["run", "a2c", "--size", "tiny", "--study", study, "--storage", url, "--trials", str(trials)]
    words += ["--workers", str(workers), "--seeds", "1", "--finalists", "1", "--final-seeds", "2"]
    words += ["--sampler", "random", "--pruner", "none", "--set", "device=cpu", "--set", "evaluation.problems=4"]
    return ["agents.tune", *words, "--episodes", str(EPISODES)]


def typed(words):
    """The line for `run`, which is in this process."""
    return " ".join(["tune", *words[1:]])


def values_of(url, study):
    """By what was suggested."""
    trials = trials_of(url, study)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    return {str(sorted(trial.params.items())): trial.value for trial in trials}


def processes_of(trials, step=0):
    """Process ids of the trials that run and have reported this step."""
    owners = [
        owner_of(trial) for trial in trials if trial.state == TrialState.RUNNING and (trial.last_step or 0) >= step
    ]
    return [owner.process.pid for owner in owners if owner and owner.process.is_running]


def running(url, study):
    """Process ids of the trials that run."""
    return processes_of(trials_of(url, study))


def a_running_one(url, study, total=1, choose=processes_of):
    """The first process that `choose` takes from the trials, as soon as there is one; None if the total has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(KeyError):  # the study has not been begun
            trials = trials_of(url, study)
            if found := choose(trials):
                return found[0]
            if len(trials) >= total and all(trial.state.is_finished() for trial in trials):
                return None
        time.sleep(0.05)
    raise AssertionError("nothing runs")


def survive_a_kill(trials):
    """Whether no trial fails if any or all processes are killed: one that waits may be claimed before the kill."""
    unfinished = [trial for trial in trials if not trial.state.is_finished()]
    return all(attempts_without_progress(trial) + 1 < MAX_ATTEMPTS for trial in unfinished)


class InProcess:
    """Runs the trials one after the other, in this process."""

    def __init__(self, url, workers):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def run_trials(self, trials, total, show):
        while (number := trials.claim(total)) is not None:
            run_claimed_trial(trials, number)
