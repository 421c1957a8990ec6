"""The solver is exact: against every answer there is, against the plain pass, and in states off the best path."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from token_env import SIZES, SettingError, Task
from token_env.languages.language import from_arrays
from token_env.languages.synthetic import synthetic
from token_env.optimum.bounded_search import BoundedSearch, SearchResult
from token_env.optimum.solver import Solver
from token_env.optimum.successors import find_successors
from token_env.rules import rows
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.state import State


def earned(dynamics, problems, tokens):
    """Returns [N] of saying tokens [N, L], by the rules alone."""
    state = dynamics.initial(problems)
    for said in tokens.T:
        state = dynamics.transition(problems, state, said).next_state
    return state.adequacy - state.fluency_penalty


def pair_costs(dynamics):
    """λ max(0, s(b|a) - τ), [V, V]."""
    task, language = dynamics.task, dynamics.language
    return task.fluency_scale * np.maximum(
        language.surprisals(np.arange(language.vocab_size)) - task.surprisal_budget, 0.0
    )


def plain_values(dynamics, problems, cost=None):
    """V_t(a) of one problem, [L + 1, V], by dynamic programming over all pairs."""
    task, language = dynamics.task, dynamics.language
    cost = pair_costs(dynamics) if cost is None else cost
    values = np.zeros((task.max_steps + 1, len(cost)))
    for step in range(task.max_steps - 1, -1, -1):
        adequacy = np.maximum(language.meaning @ problems.meanings[0, step], 0.0)
        worth = task.adequacy_scale * problems.weights[0, step] * adequacy + values[step + 1]
        values[step] = (worth - cost).max(axis=1)
    return values


def random_problems(dynamics, size, seed):
    """Problems whose messages are drawn from nowhere in particular."""
    generator, language, length = np.random.default_rng(seed), dynamics.language, dynamics.task.max_steps
    message = generator.integers(language.vocab_size, size=(size, length))
    meanings = language.meaning[message] + 0.4 * generator.standard_normal((size, length, language.dimension))
    meanings /= np.linalg.norm(meanings, axis=2, keepdims=True)
    start = generator.integers(language.vocab_size, size=size)
    weights = language.payment[message]
    return Problems(np.arange(size), start, message, meanings.astype(np.float32), weights)


@given(
    vocab_size=st.integers(2, 5),
    length=st.integers(1, 4),
    fluency_scale=st.sampled_from([0.0, 0.01, 0.7, 20.0]),
    budget=st.sampled_from([0.0, 1.0, 2.0, 5.0]),
    adequacy_scale=st.sampled_from([0.0, 0.12, 3.0]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=150)
def test_no_answer_at_all_earns_more_than_the_optimum(vocab_size, length, fluency_scale, budget, adequacy_scale, seed):
    task = Task(
        vocab_size=vocab_size,
        max_steps=length,
        language_seed=seed,
        fluency_scale=fluency_scale,
        surprisal_budget=budget,
        adequacy_scale=adequacy_scale,
    )
    dynamics = Dynamics(task)
    problem = random_problems(dynamics, 1, seed)
    answers = np.array(list(product(range(vocab_size), repeat=length)))
    returns = earned(dynamics, Problems(*(field.repeat(len(answers), axis=0) for field in problem)), answers)
    solver = Solver(dynamics)
    solution = solver.solve(problem)
    assert solution.returns[0] == pytest.approx(returns.max(), abs=1e-9)
    assert earned(dynamics, problem, solution.tokens) == pytest.approx(solution.returns)
    first = np.flatnonzero(solver.optimal_actions(problem, dynamics.initial(problem))[0])
    assert set(first) == set(answers[returns >= returns.max() - 1e-6, 0])


@pytest.mark.parametrize(
    ("size", "language", "count", "shorter"),
    [
        ("tiny", "synthetic", 40, {}),
        ("fast", "synthetic", 20, {}),
        ("fast", "english", 6, {}),
        ("stable", "synthetic", 1, {"max_steps": 8}),  # the plain pass looks at 25 million pairs a step
    ],
)
def test_the_optimum_is_that_of_the_plain_pass(size, language, count, shorter):
    dynamics = Dynamics(Task(split="test", language=language, **SIZES[size] | shorter))
    problems = dynamics.problems.draw(np.arange(count))
    solution, cost = Solver(dynamics).solve(problems), pair_costs(dynamics)
    for row in range(count):
        values = plain_values(dynamics, rows.take(problems, slice(row, row + 1)), cost)
        assert solution.returns[row] == pytest.approx(values[0, problems.start[row]], abs=1e-9)
    assert earned(dynamics, problems, solution.tokens) == pytest.approx(solution.returns, abs=1e-12)


@pytest.mark.parametrize("keywords", [{}, {"surprisal_budget": 0.0}, {"fluency_scale": 0.0}, {"fluency_scale": 0.05}])
def test_optimal_actions_are_those_of_the_plain_pass_wherever_an_episode_has_got_to(keywords):
    dynamics = Dynamics(Task(split="test", vocab_size=300, max_steps=6, **keywords))
    problems = dynamics.problems.draw(np.zeros(24, dtype=np.int64))
    generator = np.random.default_rng(0)
    step = np.arange(24) % 6
    state = State(generator.integers(300, size=24), step, np.zeros(24), np.zeros(24))
    optimal = Solver(dynamics).optimal_actions(problems, state)
    values = plain_values(dynamics, problems)
    worth = dynamics.dense_rewards(problems, state) + values[step + 1]
    assert (optimal == (worth >= worth.max(axis=1, keepdims=True) - 1e-6)).all()


def test_equally_good_tokens_are_all_optimal():
    twins = from_arrays(
        log_unigram=np.log([0.4, 0.3, 0.3]),
        context=np.zeros((3, 2)),
        output=[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]],
    )
    dynamics = Dynamics(Task(language=twins, vocab_size=3, max_steps=2))
    problem = random_problems(dynamics, 1, 0)._replace(meanings=np.array([[[0.0, 1.0], [1.0, 0.0]]], np.float32))
    assert Solver(dynamics).optimal_actions(problem, dynamics.initial(problem)).tolist() == [[False, True, True]]


def test_a_batch_is_solved_as_each_problem_alone():
    dynamics = Dynamics(Task(split="test", vocab_size=200, max_steps=10))
    problems = dynamics.problems.draw(np.arange(70))  # three chunks
    together = Solver(dynamics).solve(problems)
    for row in (0, 31, 32, 69):
        alone = Solver(dynamics).solve(rows.take(problems, slice(row, row + 1)))
        assert alone.returns[0] == together.returns[row]


@pytest.mark.parametrize("gaps", [(0.2, 0.5), (1.0, 1.5), (2.0, 3.0)])
def test_short_lists_never_settle_what_they_cannot_prove(gaps):
    dynamics = Dynamics(Task(split="test", vocab_size=400, max_steps=12))
    problems = dynamics.problems.draw(np.arange(40))
    solver, plain = Solver(dynamics, gaps=gaps), Solver(dynamics, gaps=())
    np.testing.assert_allclose(solver.solve(problems).returns, plain.solve(problems).returns, atol=1e-9)
    state = dynamics.initial(problems)
    assert (solver.optimal_actions(problems, state) == plain.optimal_actions(problems, state)).all()


def test_a_path_is_not_proven_while_rounding_could_hide_a_better_one():
    found = SearchResult(np.full(3, 1.0), np.array([0.9, 1.0 - 1e-7, 1.1]), np.zeros((3, 0)))
    assert found.is_proven(1e-6).tolist() == [True, False, False]


@pytest.mark.parametrize("alike", [1, 4])
def test_where_many_answers_are_as_good_the_optimum_is_found_all_the_same(alike):
    """Tokens of few meanings: every answer has thousands as good as it, more than are followed from a first token."""
    directions = np.eye(4)[np.arange(60) % alike % 4]
    language = from_arrays(np.log(np.full(60, 1 / 60)), context=np.zeros((60, 4)), output=directions)
    dynamics = Dynamics(Task(language=language, vocab_size=60, max_steps=6, split="test"))
    problems = random_problems(dynamics, 3, 0)
    solution, cost = Solver(dynamics).solve(problems), pair_costs(dynamics)
    state = dynamics.initial(problems)
    optimal, rewards = Solver(dynamics).optimal_actions(problems, state), dynamics.dense_rewards(problems, state)
    for row in range(3):
        values = plain_values(dynamics, rows.take(problems, slice(row, row + 1)), cost)
        assert solution.returns[row] == pytest.approx(values[0, problems.start[row]], abs=1e-9)
        worth = rewards[row] + values[1]
        assert (optimal[row] == (worth >= worth.max() - 1e-6)).all()


def test_weights_beyond_single_precision_are_left_to_the_plain_pass():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((40, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    language = from_arrays(-np.linspace(0, 200, 40), context=vectors, output=vectors)
    dynamics = Dynamics(Task(language=language, vocab_size=40, max_steps=5))
    problems = random_problems(dynamics, 10, 1)
    solution = Solver(dynamics).solve(problems)
    for row in range(10):
        values = plain_values(dynamics, rows.take(problems, slice(row, row + 1)))
        assert solution.returns[row] == pytest.approx(values[0, problems.start[row]], rel=1e-12)


def test_a_budget_that_no_token_keeps_is_left_to_the_plain_pass():
    dynamics = Dynamics(Task(split="test", vocab_size=64, max_steps=8, surprisal_budget=0.0))
    listed = find_successors(dynamics.language, 0.0, 0.7, 0.24)
    solver = Solver(dynamics)
    problems = dynamics.problems.draw(np.arange(20))
    assert not BoundedSearch(dynamics, problems, listed).best_tokens()[0].all()  # short lists do not do
    for row, value in enumerate(solver.solve(problems).returns):
        problem = rows.take(problems, slice(row, row + 1))
        assert value == pytest.approx(plain_values(dynamics, problem)[0, problem.start[0]], abs=1e-9)


def test_where_nearly_everything_follows_there_are_no_lists():
    assert find_successors(synthetic(1500), 5.0, 0.001, 1.0) is None


@pytest.mark.parametrize("reward", ["terminal", "potential"])
def test_rewards_that_pay_the_same_return_have_the_same_optimum(reward):
    task = {"split": "test", "vocab_size": 64, "max_steps": 8}
    dense, other = Dynamics(Task(**task)), Dynamics(Task(reward=reward, discount=0.9, **task))
    problems = dense.problems.draw(np.arange(10))
    assert (Solver(dense).solve(problems).returns == Solver(other).solve(problems).returns).all()


def test_the_optimum_of_exact_is_the_message():
    dynamics = Dynamics(Task(split="test", vocab_size=64, max_steps=8, reward="exact"))
    problems = dynamics.problems.draw(np.arange(10))
    solution = Solver(dynamics).solve(problems)
    assert (solution.tokens == problems.message).all()
    assert (solution.returns == 8).all()
    optimal = Solver(dynamics).optimal_actions(problems, dynamics.initial(problems))
    assert (optimal.argmax(axis=1) == problems.message[:, 0]).all()
    assert (optimal.sum(axis=1) == 1).all()


def test_a_reward_of_ones_own_has_no_known_optimum():
    with pytest.raises(SettingError, match=r"neighbouring tokens.*reward='dense'"):
        Solver(Dynamics(Task(reward=lambda transition: transition.adequacy)))


def test_messages_of_a_smaller_vocabulary_are_solved_over_all_tokens():
    dynamics = Dynamics(Task(split="test", vocab_size=200, message_vocab=50, max_steps=5))
    problems = dynamics.problems.draw(np.arange(3))
    solution = Solver(dynamics).solve(problems)
    for row in range(3):
        problem = rows.take(problems, slice(row, row + 1))
        assert solution.returns[row] == pytest.approx(plain_values(dynamics, problem)[0, problem.start[0]], abs=1e-9)
