"""What the pages publish of languages and reference policies is what the code computes."""

import json
import shutil

import numpy as np
import pytest

from agents.settings.layers import make_settings, read_layer
from agents.tuning.outcome import read_outcome
from agents.tuning.storages import open_storage
from benchmarks.files import RESULTS
from benchmarks.published import english, references
from token_env import REFERENCES, SIZES, SettingError, Task, evaluate
from token_env.languages.find import find_language


@pytest.fixture(scope="module")
def published():
    return references.published()


def test_figures_of_every_size_language_and_policy_are_published(published):
    policies = {*REFERENCES, "lookahead, k = 1", "lookahead, k = 2", "lookahead, k = 3"} - {"lookahead"}
    wanted = {(language, size, policy) for language in references.LANGUAGES for size in SIZES for policy in policies}
    assert set(zip(published.language, published["size"], published.policy, strict=True)) == wanted
    assert set(published.problems) == {500}


def test_published_figures_are_what_is_measured(published):
    measured = references.measure(["tiny"])
    then = published[published["size"] == "tiny"].reset_index(drop=True)
    assert (measured[["language", "policy"]] == then[["language", "policy"]]).all(axis=None)
    np.testing.assert_allclose(measured[list(references.FIGURES)], then[list(references.FIGURES)], rtol=1e-3, atol=1e-3)


def test_the_published_optimum_of_fast_is_that_of_its_first_problems(published):
    task = Task(split="test", optimum=True, **SIZES["fast"])
    played = evaluate(REFERENCES["greedy"], range(100), task=task)
    row = published.set_index(["language", "size", "policy"]).loc[("synthetic", "fast", "greedy")]
    assert played.optimal_returns.mean() == pytest.approx(row.mean_optimum, abs=0.15)  # 100 problems of the 500
    assert played.score == pytest.approx(row.score, abs=0.03)


def test_scores_rise_with_sight_and_end_at_the_optimum(published):
    for _, figures in published.groupby(["language", "size"]):
        score = figures.set_index("policy").score
        assert score["optimal"] == 1.0
        assert score["greedy"] <= score["lookahead, k = 1"] <= score["lookahead, k = 2"] <= score["lookahead, k = 3"]


def test_published_best_paraphrases_are_the_solvers():
    told = json.loads(english.PUBLISHED.read_text(encoding="utf-8"))["problems"]
    task = Task(language="english", split="test", optimum=True, **SIZES["fast"])
    played = evaluate(REFERENCES["optimal"], range(len(told)), task=task)
    words = find_language("english", task.vocab_size).surface
    assert len(told) == english.MESSAGES
    for row, problem in enumerate(told):
        assert problem["optimal"]["said"] == " ".join(words[token] for token in played.actions[row])
        assert problem["optimal"]["return"] == pytest.approx(played.optimal_returns[row], abs=1e-3)
        assert problem["agent"]["return"] <= problem["optimal"]["return"]


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_the_preset_of_fast_has_the_numbers_of_the_published_study(algorithm, tmp_path):
    name = f"{algorithm}-fast"
    journal = shutil.copy(RESULTS / f"{name}.journal", tmp_path)  # opening one may repair it
    with open_storage(f"journal:{journal}") as storage:
        outcome = read_outcome(storage, name)
    assert len(outcome.trials) == 40
    preset = make_settings(read_layer("tied/fast"), {"algorithm": algorithm}).hyperparameters.model_dump()
    winner = outcome.winner.settings.hyperparameters.model_dump()
    assert preset.keys() == winner.keys()
    for key, value in winner.items():
        assert preset[key] == (pytest.approx(value, rel=5e-3) if isinstance(value, float) else value), key


def test_neighbours_are_the_nearest_by_meaning():
    language = find_language("english", 500)
    told = english.neighbour_table(language, ("three",)).splitlines()[-1]
    cosine = language.meaning @ language.meaning[language.surface.index("three")]
    second = language.surface[np.argsort(-cosine)[1]]
    assert told.startswith(f"| three | {language.surface.index('three')} | {second} {np.sort(cosine)[-2]:.2f}, ")


def test_paraphrases_of_another_language_are_refused():
    class Agent:
        language = find_language("synthetic", 64)

    with pytest.raises(SettingError, match="--language english"):
        english.paraphrases(Agent())
