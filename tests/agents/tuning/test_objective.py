"""Trainings as an objective: what is suggested, what a trial is worth, when it is pruned."""

import itertools

import numpy as np
import optuna
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.algorithms.budget import check_budget, with_defaults
from agents.algorithms.table import ALGORITHMS
from agents.settings.layers import make_settings, preset_layer
from agents.training.fit import fit, train_in_memory
from agents.tuning import objective as study_module
from agents.tuning.objective import (
    EVALUATIONS,
    SCORED_EVALUATIONS,
    ValidationCallback,
    objective,
    own_parameters,
    score_on,
    search_space,
    suggested,
    try_out,
)
from agents.tuning.plan import SEED_SETS, seed_set
from agents.tuning.samplers import PRUNERS, SAMPLERS, LatestValuePruner, make_pruner, make_sampler
from tests.support.settings import quick_settings
from token_env import SIZES, SettingError

CASES = list(itertools.product(SIZES, ALGORITHMS))


def new_study(**more):
    return optuna.create_study(direction="maximize", **more)


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def scores(monkeypatch):
    """Trainings cost nothing: each scores what this dictionary says of its seed, a value an evaluation."""
    curves: dict[int, list[float]] = {}

    def train_and_score(settings, report):
        values = curves[settings.seed]
        for place, value in enumerate(values, start=1):
            report(place, value)
        return float(np.mean(values[-SCORED_EVALUATIONS:])), None

    monkeypatch.setattr(study_module, "train_and_score", train_and_score)
    return curves


@pytest.mark.parametrize(("size", "algorithm"), CASES)
def test_every_preset_lies_in_its_search_space(size, algorithm):
    settings = make_settings(preset_layer(size), {"algorithm": algorithm})
    assert set(own_parameters(settings)) == set(search_space(settings))


@pytest.mark.parametrize(("size", "algorithm"), CASES)
def test_whatever_is_suggested_comes_out_even(size, algorithm):
    settings = make_settings(preset_layer(size), {"algorithm": algorithm})
    study = new_study(sampler=optuna.samplers.RandomSampler(seed=0))
    tried = [suggested(study.ask(), settings) for _ in range(20)]
    for one in tried:
        check_budget(one)
    assert len({str(one.hyperparameters) for one in tried}) > 15


@pytest.mark.parametrize(("size", "algorithm"), CASES)
def test_the_librarys_defaults_come_out_even(size, algorithm):
    settings = make_settings(preset_layer(size), {"algorithm": algorithm})
    plain = with_defaults(settings)
    check_budget(plain)
    section = plain.hyperparameters
    assert section.gamma == 0.99
    assert section.learning_rate == type(section).model_fields["learning_rate"].default
    assert (plain.policy, plain.env) == (settings.policy, settings.env)


def test_a_study_that_the_user_owns_maximises_the_mean_score():
    settings = quick_settings()
    study = new_study()
    study.enqueue_trial(own_parameters(settings))
    study.optimize(objective(settings, seeds=2, parameters=["learning_rate", "gamma"]), n_trials=2)
    first, second = study.trials
    assert first.params == {"learning_rate": 5e-3, "gamma": 0.8}
    assert set(second.params) == {"learning_rate", "gamma"}
    assert first.value == pytest.approx(np.mean(first.user_attrs["scores"]))
    assert list(first.intermediate_values) == list(range(1, 2 * EVALUATIONS + 1))


def test_an_evaluated_training_is_the_one_that_fit_makes(tmp_path):
    settings = quick_settings("ppo", episodes=40)
    result = fit(settings, tmp_path / "run", progress=False)
    heard: list[float] = []
    agent = train_in_memory(settings, lambda learner: ValidationCallback(learner, heard.append))
    for ours, theirs in zip(agent.policy.parameters(), result.agent.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert len(heard) == EVALUATIONS
    assert heard[-1] == score_on(result.agent, "validation")
    assert score_on(agent, "test") == pytest.approx(result.summary.evaluation["agent (greedy)"].score)


def test_weights_that_are_no_numbers_end_a_training():
    class Spoil(BaseCallback):
        def __init__(self, agent):
            super().__init__()
            self.curve = ValidationCallback(agent, lambda score: None)

        def _on_step(self):
            return True

        def _on_training_end(self):
            next(self.model.policy.parameters()).data.fill_(float("nan"))
            self.curve.init_callback(self.model)
            self.curve.on_training_end()

    with pytest.raises(FloatingPointError, match=r"weights are not finite"):
        train_in_memory(quick_settings("a2c", policy={"head": "tied"}), Spoil)


def test_a_trial_is_worth_the_mean_of_the_last_evaluations_of_its_trainings(scores):
    scores |= {1000: [0.0] * 7 + [0.1, 0.2, 0.3], 1001: [0.9] * 7 + [0.4, 0.4, 0.4]}
    study = new_study(pruner=make_pruner("none", 2))
    study.optimize(lambda trial: try_out(trial, quick_settings(), seed_set("trials", 2)), n_trials=1)
    (trial,) = study.trials
    assert trial.user_attrs["scores"] == pytest.approx([0.2, 0.4])
    assert trial.value == pytest.approx(0.3)
    assert trial.intermediate_values[EVALUATIONS] == pytest.approx(0.3)  # the last evaluation of the first training
    assert trial.intermediate_values[EVALUATIONS + 1] == pytest.approx((0.2 + 0.9) / 2)


def test_finished_trainings_of_a_trial_are_not_repeated(scores):
    scores |= {1001: [0.4] * EVALUATIONS}  # there is nothing of the first seed
    study = new_study(pruner=make_pruner("none", 2))
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.WAITING, user_attrs={"scores": [0.2]}))
    study.optimize(lambda trial: try_out(trial, quick_settings(), seed_set("trials", 2)), n_trials=1)
    assert study.trials[0].value == pytest.approx(0.3)


def run_five_good_ones(study, scores):
    scores[1000] = scores[1001] = [0.1 * place for place in range(1, EVALUATIONS + 1)]
    study.optimize(lambda trial: try_out(trial, quick_settings(), seed_set("trials", 2)), n_trials=5)


def test_a_trial_is_pruned_along_the_curve(scores):
    study = new_study(pruner=make_pruner("median", 2))
    run_five_good_ones(study, scores)
    scores[1000] = [0.0] * EVALUATIONS
    study.optimize(lambda trial: try_out(trial, quick_settings(), seed_set("trials", 2)), n_trials=1)
    assert study.trials[-1].state == optuna.trial.TrialState.PRUNED
    assert study.trials[-1].last_step < EVALUATIONS


def test_a_lucky_first_seed_does_not_keep_a_trial_alive(scores):
    study = new_study(pruner=make_pruner("median", 2))
    run_five_good_ones(study, scores)
    scores |= {1000: [0.2 * place for place in range(1, EVALUATIONS + 1)], 1001: [-9.0] * EVALUATIONS}
    study.optimize(lambda trial: try_out(trial, quick_settings(), seed_set("trials", 2)), n_trials=1)
    assert study.trials[-1].state == optuna.trial.TrialState.PRUNED
    assert study.trials[-1].last_step > EVALUATIONS


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_seed_suggests_the_same_whichever_process_asks(name):
    def parameters(seed):
        study = new_study()
        for number in range(12):
            study.sampler = make_sampler(name, seed, number)
            trial = study.ask()
            x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
            study.tell(trial, -((x - 0.3) ** 2) - y)
        return [trial.params for trial in study.trials]

    first = parameters(0)
    assert first == parameters(0)
    assert first != parameters(1)
    assert len({str(one) for one in first}) == 12


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_goes_with_several_seeds(name, scores):
    study = new_study(pruner=make_pruner(name, 2))
    run_five_good_ones(study, scores)
    assert study.trials[0].state == optuna.trial.TrialState.COMPLETE


def test_a_trial_without_reports_is_not_pruned():
    study = new_study()
    assert not LatestValuePruner(optuna.pruners.MedianPruner()).prune(study, optuna.trial.create_trial(value=0.0))


def test_sets_of_seeds_share_none():
    sets = [set(seed_set(name, 1000)) for name in SEED_SETS]
    assert len(set.union(*sets)) == sum(map(len, sets))
    with pytest.raises(SettingError, match=r"must be from 1 to 1000"):
        seed_set("trials", 1001)
