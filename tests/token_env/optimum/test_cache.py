"""Optima of held-out problems are solved once; a file that cannot be trusted is made anew."""

import dataclasses
import json

import numpy as np
import pytest

from token_env import REFERENCES, Task, evaluate
from token_env.env import TokenEnv
from token_env.languages.synthetic import synthetic
from token_env.optimum import cache as optima
from token_env.optimum.solver import Solver
from token_env.rules.dynamics import Dynamics

TINY = {"vocab_size": 64, "max_steps": 8}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, as a new process sees it."""
    monkeypatch.setenv(optima.FOLDER_VARIABLE, str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget():
    optima._open_optima.cache_clear()


def drawn(**keywords):
    dynamics = Dynamics(Task(**{"split": "test"} | TINY | keywords))
    return dynamics, dynamics.problems.draw(np.arange(6))


def the_file(cache):
    (file,) = cache.rglob("*.json")
    return file


def refuse_to_solve(monkeypatch):
    def refuse(*_):
        raise AssertionError("it was solved again")

    monkeypatch.setattr(Solver, "solve", refuse)


def test_another_process_finds_them_without_solving(cache, monkeypatch):
    dynamics, problems = drawn()
    expected = Solver(dynamics).solve(problems).returns
    optima.store_optima(dynamics, problems)
    forget()
    refuse_to_solve(monkeypatch)
    assert (optima.optimal_returns(dynamics, problems) == expected).all()


def test_only_what_is_missing_is_solved_and_nothing_is_lost(cache, monkeypatch):
    dynamics, problems = drawn()
    some = dynamics.problems.draw(np.array([4, 1]))
    optima.store_optima(dynamics, some)
    first = optima.optimal_returns(dynamics, some)
    forget()
    solved = []
    solve = Solver.solve
    monkeypatch.setattr(Solver, "solve", lambda self, some: solved.extend(some.ids) or solve(self, some))
    optima.store_optima(dynamics, problems)
    returns = optima.optimal_returns(dynamics, problems)
    assert returns[[4, 1]].tolist() == first.tolist()
    assert sorted(solved) == [0, 2, 3, 5]
    assert sorted(json.loads(the_file(cache).read_text())["returns"]) == list("012345")


def damage(text):
    content = json.loads(text)
    content["returns"]["0"] += 1.0
    return json.dumps(content)


def about_another_noise(text):
    content = json.loads(text)
    content["about"]["noise"] = 0.5
    content["sha256"] = optima.checksum(content["about"], content["returns"])
    return json.dumps(content)


@pytest.mark.parametrize(
    "spoil",
    [damage, about_another_noise, lambda text: text[:-30], lambda _: "", lambda _: "[1]", lambda _: '{"about": 1}'],
)
def test_a_file_that_cannot_be_trusted_is_made_anew(cache, spoil):
    dynamics, problems = drawn()
    optima.store_optima(dynamics, problems)
    expected = optima.optimal_returns(dynamics, problems)
    file = the_file(cache)
    whole = file.read_text()
    file.write_text(spoil(whole))
    forget()
    assert (optima.optimal_returns(dynamics, problems) == expected).all()
    optima.store_optima(dynamics, problems)
    assert file.read_text() == whole


@pytest.mark.parametrize(
    "change", [{"noise": 0.5}, {"fluency_scale": 0.1}, {"split": "validation"}, {"vocab_size": 63}]
)
def test_other_constants_have_another_file(cache, change):
    for keywords in ({}, change):
        dynamics, problems = drawn(**keywords)
        optima.store_optima(dynamics, problems)
        assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
    assert len(list(cache.rglob("*.json"))) == 2


def test_a_language_that_somebody_changed_has_another_file(cache):
    language = synthetic(64)
    changed = dataclasses.replace(language, context=language.context * 0.5)
    assert changed.fingerprint == language.fingerprint
    for spoken in (language, changed):
        dynamics, problems = drawn(language=spoken)
        optima.store_optima(dynamics, problems)
        assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()


def test_episodes_read_what_is_kept_and_write_nothing(cache, monkeypatch):
    env = TokenEnv(split="test", optimum=True, num_problems=6, **TINY)
    env.reset(options={"problem_id": 0})
    assert not list(cache.rglob("*"))
    evaluate(REFERENCES["greedy"], range(6), task=Task(split="test", optimum=True, **TINY))
    assert len(json.loads(the_file(cache).read_text())["returns"]) == 6
    refuse_to_solve(monkeypatch)
    for problem in range(6):
        env.reset(options={"problem_id": problem})


def test_a_problem_that_is_asked_for_twice_is_solved_once(cache, monkeypatch):
    dynamics, _ = drawn(split="train")
    solved = []
    solve = Solver.solve
    monkeypatch.setattr(Solver, "solve", lambda self, some: solved.extend(some.ids.tolist()) or solve(self, some))
    problems = dynamics.problems.draw(np.array([3, 1, 3, 3]))
    returns = optima.optimal_returns(dynamics, problems)
    assert solved == [1, 3]
    assert returns.tolist() == [returns[0], returns[1], returns[0], returns[0]]


@pytest.mark.parametrize(
    ("earned", "optimum", "score"), [(1.0, 4.0, 0.25), (-2.0, 4.0, -0.5), (1.0, 0.0, np.nan), (-9.0, -3.0, np.nan)]
)
def test_a_score_is_a_share_of_what_could_be_earned_if_anything_could(earned, optimum, score):
    np.testing.assert_equal(float(optima.score(earned, optimum)), score)


def test_every_reward_has_the_optimum_of_the_return(cache):
    expected = optima.optimal_returns(*drawn())
    for reward in ("terminal", "exact", lambda transition: transition.adequacy):
        optima.store_optima(*drawn(reward=reward))
        assert (optima.optimal_returns(*drawn(reward=reward)) == expected).all()
    assert len(list(cache.rglob("*.json"))) == 1


def test_training_problems_are_solved_but_not_kept(cache):
    dynamics, problems = drawn(split="train")
    optima.store_optima(dynamics, problems)
    assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
    assert not list(cache.rglob("*"))


def test_where_nothing_can_be_written_problems_are_solved_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(optima.FOLDER_VARIABLE, str(tmp_path / "a file"))
    forget()
    dynamics, problems = drawn()
    optima.store_optima(dynamics, problems)
    assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
