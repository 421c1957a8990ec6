"""Optima of held-out problems are solved once; a file that cannot be trusted is made anew."""

import json

import numpy as np
import pytest

from token_env import Task, optima
from token_env.dynamics import Dynamics
from token_env.solver import Solver

TINY = {"vocab_size": 64, "max_steps": 8}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, as a new process sees it."""
    monkeypatch.setenv(optima.FOLDER_VARIABLE, str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget():
    optima._optima.cache_clear()


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
    assert (optima.optimal_returns(dynamics, problems) == expected).all()
    forget()
    refuse_to_solve(monkeypatch)
    assert (optima.optimal_returns(dynamics, problems) == expected).all()


def test_only_what_is_missing_is_solved_and_nothing_is_lost(cache, monkeypatch):
    dynamics, problems = drawn()
    first = optima.optimal_returns(dynamics, dynamics.problems.draw(np.array([4, 1])))
    forget()
    solved = []
    solve = Solver.solve
    monkeypatch.setattr(Solver, "solve", lambda self, some: solved.extend(some.ids) or solve(self, some))
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
    expected = optima.optimal_returns(dynamics, problems)
    file = the_file(cache)
    whole = file.read_text()
    file.write_text(spoil(whole))
    forget()
    assert (optima.optimal_returns(dynamics, problems) == expected).all()
    assert file.read_text() == whole


@pytest.mark.parametrize(
    "change", [{"noise": 0.5}, {"fluency_scale": 0.1}, {"split": "validation"}, {"vocab_size": 63}]
)
def test_other_constants_have_another_file(cache, change):
    for keywords in ({}, change):
        dynamics, problems = drawn(**keywords)
        assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
    assert len(list(cache.rglob("*.json"))) == 2


def test_every_reward_has_the_optimum_of_the_return(cache):
    expected = optima.optimal_returns(*drawn())
    for reward in ("terminal", "exact", lambda transition: transition.adequacy):
        assert (optima.optimal_returns(*drawn(reward=reward)) == expected).all()
    assert len(list(cache.rglob("*.json"))) == 1


def test_training_problems_are_solved_but_not_kept(cache):
    dynamics, problems = drawn(split="train")
    assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
    assert not list(cache.rglob("*"))


def test_where_nothing_can_be_written_problems_are_solved_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(optima.FOLDER_VARIABLE, str(tmp_path / "a file"))
    forget()
    dynamics, problems = drawn()
    assert (optima.optimal_returns(dynamics, problems) == Solver(dynamics).solve(problems).returns).all()
