"""Studies as a whole: exact on every storage, whoever is killed; what they export keeps its word."""

import contextlib
import os
import random
import signal
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from agents.evaluation.statistics import prediction_interval
from agents.settings.layers import make_settings
from agents.settings.yaml_text import parse
from agents.training.fit import fit
from agents.tuning import rounds
from agents.tuning.objective import EVALUATIONS
from agents.tuning.outcome import WinnerCheck, read_outcome
from agents.tuning.plan import begin_study
from agents.tuning.preset import preset_text
from agents.tuning.rounds import check_winner, run_study
from agents.tuning.storages import complete_url, open_storage
from agents.tuning.trials import Trials, owner_of, waiting_trial
from tests.agents.tuning.studies import (
    EPISODES,
    SOAK,
    InProcess,
    a_running_one,
    command,
    plan,
    processes_of,
    quietly,
    running,
    survive_a_kill,
    trials_of,
    typed,
    values_of,
)
from tests.support.processes import SECONDS, errors_of, forked, wait_until
from tests.support.settings import quick_settings
from token_env.errors import SettingError

TRIALS, WORKERS = (40, 4) if SOAK else (4, 3)
KILLS = 12 if SOAK else 2  # of a worker, then of the command
KILLED_TRIALS = 24 if SOAK else 4


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def in_process(monkeypatch):
    """Run a study to its end in this process, with the plan of `command`, perhaps with the parameters of each trial."""

    def in_process(url, study, trials, parameters=()):
        with monkeypatch.context() as patch, open_storage(url, create=True) as storage:
            patch.setattr(rounds, "WorkerPool", InProcess)
            same_plan = plan(settings=quick_settings(episodes=EPISODES))
            begin_study(storage, study, same_plan)
            Trials(storage, study).add(waiting_trial(values) for values in parameters)
            return run_study(url, study, same_plan, trials, 1, quietly)

    return in_process


@pytest.fixture
def new_journal(tmp_path):
    url = complete_url(f"journal:{tmp_path}/x.journal", "x")
    with open_storage(url, create=True):
        return url


def test_as_many_trials_are_complete_as_were_asked_for_however_many_workers_there_are(storage_url, study_name):
    url, name = storage_url, study_name
    outcome = run_study(url, name, plan(), TRIALS, WORKERS, quietly)
    trials = trials_of(url, name)
    assert len(trials) == TRIALS
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len({owner_of(trial).process.pid for trial in trials}) == TRIALS  # a process each
    assert len(outcome.finalists[0].scores) == len(outcome.winner.test_scores) == 2
    same = run_study(url, name, plan(), TRIALS, WORKERS, quietly)  # which changes nothing
    assert same.winner == outcome.winner
    assert trials_of(url, name) == trials


def test_killed_at_any_moment_every_trial_ends_with_the_value_of_its_parameters(new_journal, run, in_process, tmp_path):
    chance, kills, count = random.Random(0), 0, KILLED_TRIALS

    def victims(trials):
        return processes_of(trials, step) if survive_a_kill(trials) else []

    while kills < KILLS:
        with forked(command(new_journal, "x", count, 2), tmp_path / "told") as process:
            while kills < KILLS and process.poll() is None:
                step = chance.randrange(EVALUATIONS)
                if pid := a_running_one(new_journal, "x", count, victims):
                    time.sleep(chance.uniform(0.0, 0.1))
                    with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
                        if kills % 3 == 1:
                            process.send_signal(signal.SIGKILL)
                            process.wait(SECONDS)
                            wait_until(lambda: not running(new_journal, "x"))
                        else:
                            os.kill(pid, signal.SIGKILL)
                        kills += 1
                else:  # all trials have ended
                    process.wait(SECONDS)
                    count += KILLED_TRIALS
    code, _, error = run(typed(command(new_journal, "x", count, 2)))
    assert code == 0, error
    trials, undisturbed = trials_of(new_journal, "x"), complete_url(f"journal:{tmp_path}/undisturbed.journal", "x")
    assert len(trials) == count
    in_process(undisturbed, "x", count, [trial.params for trial in trials])
    assert values_of(new_journal, "x") == values_of(undisturbed, "x")


def test_two_commands_share_a_study(new_journal, run, tmp_path):
    words = command(new_journal, "x", 4, 1)
    with forked(words, tmp_path / "told") as other:
        assert a_running_one(new_journal, "x")
        code, _, error = run(typed(words))
        told = errors_of(other)
    assert (code, other.returncode) == (0, 0), (error, told)
    trials = trials_of(new_journal, "x")[:4]
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    assert sum(trial.state.is_finished() for trial in trials_of(new_journal, "x")) == 4


def test_ctrl_c_ends_cleanly_and_the_study_goes_on_from_there(new_journal, run, in_process):
    def press():
        if a_running_one(new_journal, "x"):
            wait_until(lambda: len(running(new_journal, "x")) == 2, seconds=60)
            os.kill(os.getpid(), signal.SIGINT)

    thread, before = threading.Thread(target=press), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        code, out, error = run(typed(command(new_journal, "x", 4, 2)))
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert "repeat the command to resume" in error
    assert "Traceback" not in out + error
    assert not running(new_journal, "x")
    states = {trial.state for trial in trials_of(new_journal, "x")}
    assert states <= {TrialState.WAITING, TrialState.COMPLETE}
    in_process(new_journal, "x", 4)
    assert len(values_of(new_journal, "x")) == 4
    assert {owner_of(trial).attempt for trial in trials_of(new_journal, "x")} == {1}


def test_two_studies_of_one_seed_suggest_the_same_parameters(tmp_path, monkeypatch):
    def suggested(which, seed, trials=12):
        url = complete_url(f"journal:{tmp_path}/{which}.journal", "x")
        run_study(url, "x", plan(sampler="tpe", pruner="median", seed=seed), trials, 1, quietly)
        return [trial.params for trial in trials_of(url, "x")]

    first = suggested("a", 0)  # ten trials at random, then two that the sampler has learned from them
    monkeypatch.setattr(rounds, "WorkerPool", InProcess)  # another process, with other hashes, and much sooner
    assert first == suggested("b", 0)
    begun_alike, *others = suggested("c", 1, trials=3)
    assert begun_alike == first[0]  # the preset
    assert others != first[1:3]
    assert len({str(parameters) for parameters in first}) == 12


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that has ended: its storage and outcome."""
    url = complete_url(f"journal:{tmp_path_factory.mktemp('study')}/x.journal", "x")
    return url, run_study(url, "x", plan(finalists=2, final_seeds=3), 4, 2, quietly)


def test_sets_of_seeds_do_what_they_are_for(finished):
    url, outcome = finished
    trials, again, final = (trials_of(url, study) for study in ("x", "x.again", "x.final"))
    assert trials[0].params["learning_rate"] == quick_settings().a2c.learning_rate  # begins with the preset
    assert sorted(trial.user_attrs["seed"] for trial in again) == [2000, 2000, 2001, 2001, 2002, 2002]
    assert sorted(trial.user_attrs["seed"] for trial in final) == [3000, 3001, 3002]
    assert not any("test_score" in trial.user_attrs for trial in [*trials, *again])
    assert all("test_score" in trial.user_attrs for trial in final)
    best = sorted(trials, key=lambda trial: -trial.value)[:2]
    assert {one.label for one in outcome.finalists} == {f"trial {trial.number}" for trial in best}
    assert outcome.winner.label == max(outcome.finalists, key=lambda one: one.mean).label


def test_the_exported_preset_trains_to_the_scores_that_were_promised_from(finished, tmp_path):
    _, outcome = finished
    layer = parse(preset_text("x", outcome))
    assert layer["name"] == "x"
    assert "ppo" not in layer
    settings = make_settings(layer, {"seed": 3000, "device": "cpu"})
    assert settings.a2c == outcome.winner.settings.a2c
    result = fit(settings, tmp_path / "run", progress=False)
    assert result.summary.evaluation["agent (greedy)"].score == pytest.approx(outcome.winner.test_scores[0])


def test_the_promise_is_the_prediction_interval_of_seeds_that_selected_nothing(finished):
    _, outcome = finished
    text = preset_text("x", outcome)
    assert f"{outcome.prediction.low:.4f}".replace("-", "−") in text
    assert "seeds 3000 to 3002, which selected nothing" in text
    scores = outcome.winner.test_scores
    assert outcome.prediction == prediction_interval(scores, 3)


def test_fewer_than_three_final_seeds_promise_nothing(finished):
    _, outcome = finished
    two = outcome._replace(winner=outcome.winner._replace(test_scores=(0.1961, 0.1961)))
    assert two.prediction is None
    assert WinnerCheck(two, two.winner, []).as_predicted is None
    text = preset_text("x", two)
    assert "Fewer than 3 final seeds predict no test score of new seeds." in text
    assert "95 %" not in text


def test_a_check_trains_the_winner_and_what_it_has_to_beat_on_a_fourth_set(finished):
    url, outcome = finished
    checked = check_winner(url, "x", 2, quietly)
    assert {trial.user_attrs["seed"] for trial in trials_of(url, "x.check")} == {4000, 4001, 4002}
    assert checked.winner.settings == outcome.winner.settings
    assert [one.label for one in checked.baselines] == [rounds.PRESET, rounds.DEFAULTS]
    mean = sum(checked.winner.test_scores) / 3
    assert checked.as_predicted == (outcome.prediction.low <= mean <= outcome.prediction.high)


def test_a_check_with_other_versions_is_refused(finished, monkeypatch):
    url, _ = finished
    monkeypatch.setattr("agents.tuning.plan.versions", lambda: {"python": "3.11.0", "torch": "1.0"})
    with pytest.raises(SettingError, match=r"was made with \w+.*, installed here: .*; install that version"):
        check_winner(url, "x", 2, quietly)


def test_what_failed_after_the_trials_is_trained_again_by_the_next_command(tmp_path, monkeypatch):
    url, failing = complete_url(f"journal:{tmp_path}/x.journal", "x"), ["x.final"]

    class FailsOnce(InProcess):
        def run_trials(self, trials, total, show):
            if trials.study in failing:
                failing.remove(trials.study)
                trials.fail(trials.claim(total), "MemoryError: no more")
            super().run_trials(trials, total, show)

    monkeypatch.setattr(rounds, "WorkerPool", FailsOnce)
    with pytest.raises(SettingError, match=r"a training of trial 0 failed: MemoryError"):
        run_study(url, "x", plan(), 1, 1, quietly)
    outcome = run_study(url, "x", plan(), 1, 1, quietly)
    assert len(outcome.winner.test_scores) == 2
    assert [trial.state.name for trial in trials_of(url, "x.final")] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert run_study(url, "x", plan(), 1, 1, quietly).winner == outcome.winner
    assert len(trials_of(url, "x.final")) == 3


def test_what_two_hosts_have_added_is_trained_once(tmp_path, monkeypatch):
    url, add = complete_url(f"journal:{tmp_path}/x.journal", "x"), Trials.add
    monkeypatch.setattr(rounds, "WorkerPool", InProcess)

    def by_two(self, trials):
        for trial in trials:
            add(self, [trial, trial] if self.study == "x.final" else [trial])

    monkeypatch.setattr(Trials, "add", by_two)
    assert len(run_study(url, "x", plan(), 1, 1, quietly).winner.test_scores) == 2
    states = [trial.state for trial in trials_of(url, "x.final")]
    assert sorted(state.name for state in states) == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]


def test_more_trials_go_on_from_those_that_are_there(finished):
    url, _ = finished
    before = trials_of(url, "x")
    run_study(url, "x", plan(finalists=2, final_seeds=3), 5, 2, quietly)
    assert trials_of(url, "x")[:4] == before[:4]
    assert len(trials_of(url, "x")) == 5
    with open_storage(url) as storage:
        assert read_outcome(storage, "x").winner.label.startswith("trial ")
