"""The policies that plan: what they know, and that they stay exact off their plan."""

import dataclasses

import numpy as np
import pytest

from token_env import REFERENCES, SIZES, Task, evaluate
from token_env.optimum.cache import return_solver
from token_env.optimum.solver import Solver
from token_env.rules import rows
from token_env.rules.dynamics import Dynamics
from token_env.rules.state import State

TINY = Task(split="test", optimum=True, **SIZES["tiny"])


def act(name, dynamics, problems, state):
    return REFERENCES[name].act(dynamics, problems, state, np.random.default_rng(0))


@pytest.mark.parametrize("reward", ["dense", "terminal", "exact"])
def test_optimal_earns_the_optimum_whatever_the_reward(reward):
    played = evaluate(REFERENCES["optimal"], range(60), task=dataclasses.replace(TINY, reward=reward))
    np.testing.assert_array_equal(played.returns, played.optimal_returns)
    assert played.score == 1.0


def test_optimal_goes_on_well_from_wherever_it_is():
    dynamics = Dynamics(TINY)
    problems = dynamics.problems.draw(np.arange(40))
    act("optimal", dynamics, problems, dynamics.initial(problems))  # it has a plan
    generator = np.random.default_rng(1)
    step = generator.integers(8, size=40)
    state = State(generator.integers(64, size=40), step, np.zeros(40), np.zeros(40))
    chosen = act("optimal", dynamics, problems, state)
    optimal = Solver(dynamics).optimal_actions(problems, state)
    assert optimal[np.arange(40), chosen].all()


def test_plans_of_one_batch_are_not_used_in_another():
    dynamics = Dynamics(TINY)
    for ids in (np.arange(10), np.arange(10, 20)):
        problems = dynamics.problems.draw(ids)
        expected = return_solver(dynamics).tokens(problems)[:, 0]
        assert act("optimal", dynamics, problems, dynamics.initial(problems)).tolist() == expected.tolist()


def test_lookahead_of_nothing_is_greedy():
    task = dataclasses.replace(TINY, lookahead=0)
    ahead, greedy = (evaluate(REFERENCES[name], range(40), task=task).actions for name in ("lookahead", "greedy"))
    np.testing.assert_array_equal(ahead, greedy)


def test_lookahead_over_the_whole_message_is_optimal_and_never_looks_further():
    task = dataclasses.replace(TINY, lookahead=7)
    assert evaluate(REFERENCES["lookahead"], range(40), task=task).score == pytest.approx(1.0)
    dynamics = Dynamics(dataclasses.replace(TINY, lookahead=2))
    problems = dynamics.problems.draw(np.arange(40))
    other = dynamics.problems.draw(np.arange(40, 80))
    blind = problems._replace(  # another future behind what is seen
        meanings=np.concatenate([problems.meanings[:, :3], other.meanings[:, 3:]], axis=1),
        weights=np.concatenate([problems.weights[:, :3], other.weights[:, 3:]], axis=1),
    )
    state = dynamics.initial(problems)
    assert (act("lookahead", dynamics, problems, state) == act("lookahead", dynamics, blind, state)).all()


def test_seeing_further_scores_higher_and_the_optimum_highest():
    task = Task(split="test", optimum=True, vocab_size=300, max_steps=12)
    scores = [
        evaluate(REFERENCES["lookahead"], range(100), task=dataclasses.replace(task, lookahead=k)).score
        for k in range(4)
    ]
    assert scores == sorted(scores)
    assert scores[0] < 0.9 < scores[1] < scores[3] < 1.0


def test_rows_at_different_steps_are_planned_each_from_its_own():
    dynamics = Dynamics(TINY)
    problems = dynamics.problems.draw(np.arange(9))
    step = np.array([0, 3, 7, 7, 3, 0, 1, 6, 5])
    state = State(problems.start, step, np.zeros(9), np.zeros(9))
    together = act("lookahead", dynamics, problems, state)
    for row in range(9):
        one = slice(row, row + 1)
        assert act("lookahead", dynamics, rows.take(problems, one), rows.take(state, one))[0] == together[row]
