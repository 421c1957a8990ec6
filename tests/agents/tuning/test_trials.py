"""Trials are claimed once, given back when their process is gone, and ended once, on every storage."""

import contextlib
import os
import platform
import subprocess

import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from agents.machine.processes import Process, this_process
from agents.tuning import trial_worker as trial_module
from agents.tuning import trials as trials_module
from agents.tuning.plan import Plan, begin_study
from agents.tuning.storages import complete_url, open_storage
from agents.tuning.trial_worker import run_claimed_trial
from agents.tuning.trials import Trials, count_finished, owner_of, waiting_trial
from tests.support.servers import postgres
from tests.support.settings import quick_settings

COUNT = 4


@pytest.fixture(scope="module")
def plan():
    return Plan(settings=quick_settings(), seeds=1, sampler="random", pruner="none")


@pytest.fixture(scope="module", params=["journal", "postgresql", "grpc"])
def storages(request, tmp_path_factory):
    """A storage of each kind, opened twice, as by two processes. Each test has a study of its own."""
    with contextlib.ExitStack() as stack:
        if request.param == "journal":
            url = f"journal:{tmp_path_factory.mktemp('trials')}/x.journal"
        else:
            url = complete_url(request.getfixturevalue("postgres_url"), "x")
            if request.param == "grpc":
                url = stack.enter_context(postgres.proxied(url))
        yield stack.enter_context(open_storage(url, create=True)), stack.enter_context(open_storage(url))


@pytest.fixture
def trials(storages, plan, study_name):
    """Some that wait, as one process sees them."""
    begin_study(storages[0], study_name, plan)
    seen = Trials(storages[0], study_name)
    seen.add(waiting_trial() for _ in range(COUNT))
    return seen


@pytest.fixture
def another(storages, trials):
    """The same trials as another process sees them."""
    return Trials(storages[1], trials.study)


@pytest.fixture
def at_once(monkeypatch):
    """Trials without a living process are lost at once."""
    monkeypatch.setattr(trials_module, "CLAIM_GRACE_SECONDS", -1.0)


def states(trials):
    return "".join(trial.state.name[0] for trial in trials.all())


def pretend(monkeypatch, process):
    """What is claimed from now on is claimed by this process."""
    monkeypatch.setattr(trials_module, "this_process", lambda: process)


def dead_process():
    """One of this host that has ended."""
    with subprocess.Popen(["true"]) as process:
        return this_process()._replace(pid=process.pid, started="0")


def test_a_trial_is_claimed_once_and_no_more_than_there_are(trials, another):
    claimed = [one.claim(3) for one in (trials, another, trials, another)]
    assert sorted(claimed[:3]) == [0, 1, 2]
    assert claimed[3] is None
    assert states(trials) == states(another) == "RRRW"
    assert owner_of(trials.all()[0]).process == this_process()


def test_trials_of_living_processes_are_left_alone(trials, another, at_once):
    trials.claim()
    assert not another.requeue_lost()
    assert not another.requeue_lost()
    assert states(another) == "RWWW"


def test_a_trial_whose_process_is_gone_is_retried_twice_and_then_failed(trials, another, at_once, monkeypatch):
    pretend(monkeypatch, dead_process())
    for _ in range(2):
        assert trials.claim() == 0
        assert another.requeue_lost() == ["trial 0: its process was killed; it waits again"]
        assert states(trials) == "WWWW"
    assert trials.claim() == 0
    (message,) = another.requeue_lost()
    assert message.startswith("trial 0 failed: its process was killed 3 times")
    assert states(trials) == "FWWW"
    assert "killed" in trials.all()[0].user_attrs["error"]


def test_a_kill_after_progress_does_not_count(trials, another, at_once, monkeypatch):
    pretend(monkeypatch, dead_process())
    for step in range(1, 6):
        assert trials.claim() == 0
        trials.storage.set_trial_intermediate_value(trials.id_of(0), step, 0.5)
        another.requeue_lost()
        assert states(trials) == "WWWW"
    for expected in ("WWWW", "WWWW", "FWWW"):
        assert trials.claim() == 0
        trials.storage.set_trial_intermediate_value(trials.id_of(0), 1, 0.5)  # repeated, so no progress
        another.requeue_lost()
        assert states(trials) == expected


def test_a_number_that_another_process_has_today_is_not_the_same_process(trials, another, at_once, monkeypatch):
    pretend(monkeypatch, this_process()._replace(started="long ago"))
    trials.claim()
    assert len(another.requeue_lost()) == 1


def test_a_trial_of_another_host_is_lost_when_it_is_silent(trials, another, at_once, monkeypatch):
    pretend(monkeypatch, Process("elsewhere", os.getpid(), "today"))
    trials.claim()
    assert not another.requeue_lost()
    monkeypatch.setattr(trials_module, "HEARTBEAT_TIMEOUT_SECONDS", -1.0)
    assert len(another.requeue_lost()) == 1


def test_signs_of_life_are_seen_from_elsewhere(trials, another, monkeypatch):
    monkeypatch.setattr(trials_module, "HEARTBEAT_SECONDS", 0.01)
    number = trials.claim()
    with trials.heartbeat(number):
        before = owner_of(another.all()[number]).beat
        while owner_of(another.all()[number]).beat < before + 2:
            pass
    assert owner_of(another.all()[number]).process.host == platform.node()


def test_a_claim_that_never_told_who_it_was_is_given_back(trials, another, at_once):
    trials.storage.set_trial_state_values(trials.id_of(0), TrialState.RUNNING)
    assert another.requeue_lost() == ["trial 0: its process is gone; it waits again"]


def test_what_is_ended_on_purpose_does_not_count_as_an_attempt(trials, another):
    for _ in range(5):
        assert trials.claim() == 0
        another.requeue_trial_of(os.getpid())
        assert states(trials) == "WWWW"
    trials.claim()
    assert owner_of(trials.all()[0]).attempt == 1


def test_two_processes_with_one_trial_end_it_once(trials, another, monkeypatch):
    values = iter([0.25, 0.75])
    monkeypatch.setattr(trial_module, "try_out", lambda *_: next(values))
    number = trials.claim()
    trials.storage.set_trial_state_values(trials.id_of(number), TrialState.WAITING)  # given back by mistake
    assert another.claim() == number
    run_claimed_trial(another, number)
    run_claimed_trial(trials, number)
    assert trials.all()[0].value == 0.25
    assert count_finished(trials.all()) == 1


def test_a_result_of_a_trial_that_waits_again_by_mistake_counts(trials, another, monkeypatch):
    monkeypatch.setattr(trial_module, "try_out", lambda *_: 0.5)
    number = trials.claim()
    trials.storage.set_trial_state_values(trials.id_of(number), TrialState.WAITING)
    run_claimed_trial(trials, number)
    assert states(another) == "CWWW"


def test_an_exception_or_a_value_that_is_no_number_fails_that_trial_alone(trials, monkeypatch):
    errors = [MemoryError("no more"), FloatingPointError("weights are not finite")]
    outcomes = iter([*errors, float("nan"), 0.5])

    def try_out(*_):
        if isinstance(outcome := next(outcomes), Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(trial_module, "try_out", try_out)
    for so_far in ("FWWW", "FFWW", "FFFW", "FFFC"):
        run_claimed_trial(trials, trials.claim())
        assert states(trials) == so_far
    for trial, error in zip(trials.all(), errors, strict=False):
        assert trial.user_attrs["error"] == f"{type(error).__name__}: {error}"


def test_a_storage_that_does_not_answer_fails_no_trial(trials, monkeypatch):
    def raise_it(*_):
        raise StorageInternalError("the server closed the connection")

    monkeypatch.setattr(trial_module, "try_out", raise_it)
    with pytest.raises(StorageInternalError):
        run_claimed_trial(trials, trials.claim())
    assert states(trials) == "RWWW"  # until its process is gone
