"""Several agents speak as one: by each rule, over shared ranks, with masks and memory, beside their members."""

import dataclasses

import numpy as np
import pytest
import torch

import agents
from agents.algorithms.table import ALGORITHMS
from agents.evaluation.agent import Player
from agents.evaluation.ensemble import RULES, Ensemble
from agents.evaluation.ensemble_scores import EnsembleScores, compare_with_members
from agents.evaluation.scores import TimedEvaluation, TimedPlayer
from tests.support.models import played, untrained, untrained_variant
from token_env import Dynamics, SettingError, Task, evaluate

# Three members, one row, three tokens.
PROBABILITIES = np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.01, 0.49, 0.5]])


def combined(rule):
    logits = RULES[rule](torch.tensor(np.log(PROBABILITIES))[:, None])
    return logits.softmax(dim=1).numpy()[0]


def test_each_rule_gives_what_can_be_worked_out_by_hand():
    np.testing.assert_allclose(combined("mean-prob"), PROBABILITIES.mean(axis=0), rtol=1e-6)
    products = np.prod(PROBABILITIES, axis=0) ** (1 / 3)
    np.testing.assert_allclose(combined("mean-logit"), products / products.sum(), rtol=1e-6)
    np.testing.assert_allclose(combined("vote"), [2 / 3, 0, 1 / 3], atol=1e-6)
    assert {rule: int(combined(rule).argmax()) for rule in RULES} == {"mean-prob": 1, "mean-logit": 1, "vote": 0}


def test_of_as_many_votes_the_mean_probability_decides():
    logits = RULES["vote"](torch.tensor(np.log(PROBABILITIES[1:]))[:, None])
    assert logits.argmax(dim=1).tolist() == [2]  # 0.5 and 0.5 votes; mean probability 0.255 and 0.3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_twice_is_that_agent(algorithm, rule):
    agent = untrained_variant(algorithm, mask_budget=2.5)
    ensemble = Ensemble([agent, agent], rule)
    said, expected = (evaluate(policy.greedy, range(30), task=agent.task).actions for policy in (ensemble, agent))
    np.testing.assert_array_equal(said, expected)


def test_members_remember_their_episodes():
    """The control of the comparison: without memory a recurrent agent says something else."""
    recurrent, other = untrained_variant("recurrent-ppo"), untrained_variant("ppo")
    ensemble = Ensemble([other, recurrent])
    seen = np.random.default_rng(0).normal(size=(2, 40, 51)).astype(np.float32)
    _, memory = ensemble.predict(seen[0])
    _, alone = recurrent.predict(seen[0])
    assert memory[0] is None
    torch.testing.assert_close(memory[1], alone)
    after, fresh = (ensemble.distribution(seen[1], state)[0].distribution.logits for state in (memory, None))
    assert not torch.allclose(after, fresh)
    begun = ensemble.distribution(seen[1], memory, np.ones(40, dtype=bool))[0].distribution.logits
    torch.testing.assert_close(begun, fresh)


def test_larger_members_are_cut_to_the_shared_ranks_and_made_whole():
    small, large = untrained(0), untrained(1, vocab_size=200, max_steps=12)
    ensemble = Ensemble([large, small], "mean-prob")
    assert (ensemble.task.vocab_size, ensemble.task.max_steps) == (64, 8)
    seen = np.random.default_rng(0).normal(size=(40, 51)).astype(np.float32)
    shared = [torch.tensor(agent.logits(seen)[:, :64]).softmax(dim=1) for agent in (small, large)]
    expected = (shared[0] + shared[1]) / 2
    torch.testing.assert_close(torch.tensor(ensemble.logits(seen)).softmax(dim=1), expected)
    np.testing.assert_array_equal(ensemble.predict(seen)[0], expected.argmax(dim=1))
    assert ensemble.predict(seen[0])[0] == expected[0].argmax()


@pytest.mark.parametrize("rule", RULES)
def test_samples_follow_the_probabilities(rule):
    ensemble = Ensemble([untrained(0), untrained(1)], rule)
    seen = np.repeat(np.random.default_rng(0).normal(size=(1, 51)).astype(np.float32), 4000, axis=0)
    torch.manual_seed(0)
    shares = np.bincount(ensemble.predict(seen, deterministic=False)[0], minlength=64) / 4000
    expected = torch.tensor(ensemble.logits(seen[:1])).softmax(dim=1).numpy()[0]
    np.testing.assert_allclose(shares, expected, atol=0.03)


@pytest.mark.parametrize("rule", RULES)
def test_one_masked_member_keeps_all_to_legal_tokens(rule):
    masked, large = untrained_variant("maskable-ppo", mask_budget=2.5), untrained(1, vocab_size=200)
    ensemble = Ensemble([large, masked], rule)
    dynamics = Dynamics(dataclasses.replace(masked.task, split="test"))
    problems = dynamics.problems.draw(np.arange(20))
    for player in (ensemble.greedy, ensemble.sampled):
        state = dynamics.initial(problems)
        for tokens in evaluate(player, range(20), task=dynamics.task).actions.T:
            assert dynamics.legal(state)[np.arange(20), tokens].all()
            state = dynamics.transition(problems, state, tokens).next_state


@pytest.mark.parametrize(
    ("members", "rule", "message"),
    [
        ([{}, {"language_seed": 1}], "vote", r"speak different languages .* name runs of one language"),
        ([{}, {"vocab_size": 100}, {"vocab_size": 200, "language_seed": 1}], "vote", r"speak different languages"),
        ([{}, {"lookahead": 2}], "vote", r"env\.lookahead is 1 and 2"),
        ([{}], "vote", r"at least 2 members, 1 was given"),
        ([{}, {}], "mean", r"unknown ensemble rule 'mean'.* Known: mean-prob, mean-logit, vote"),
    ],
)
def test_what_cannot_be_an_ensemble_is_refused(members, rule, message):
    with pytest.raises(SettingError, match=message):
        Ensemble([untrained(**env) for env in members], rule)


def test_masks_for_members_without_them_are_refused():
    ensemble = agents.Ensemble([untrained(0), untrained(1)])
    with pytest.raises(SettingError, match=r"an ensemble of agents without masks takes no action masks"):
        ensemble.predict(np.zeros((2, 51)), action_masks=np.ones((2, 64), dtype=bool))


def test_members_play_as_they_do_alone_beside_the_ensemble():
    small, large = untrained(0), untrained(1, vocab_size=200, max_steps=12)
    standing = compare_with_members(Ensemble([small, large]), ["small", "large"], "test", range(12))
    task = Task(vocab_size=64, max_steps=8, split="test")
    for name, agent in (("small", small), ("large", large)):
        expected = evaluate(Player(agent, ranks=64), range(12), task=task).actions
        np.testing.assert_array_equal(standing.members[name].evaluation.actions, expected)
        assert min(standing.members[name][1:]) > 0
    assert standing.gain("small").estimate == pytest.approx(
        standing.ensemble.evaluation.mean_return - standing.members["small"].evaluation.mean_return
    )


def test_the_clock_tells_milliseconds_a_token():
    clock = TimedPlayer(untrained().greedy)
    evaluate(clock, range(5), task=Task(vocab_size=64, max_steps=8, split="test"))
    assert len(clock.milliseconds) == 8
    clock.milliseconds = [1.0, 2.0, 60.0]
    assert clock.ms_per_token == 2.0


@pytest.mark.parametrize(
    ("ensemble", "verdict"),
    [
        ([2.0, 3.1, 4.0], "the ensemble is better than every member"),
        ([1.0, 2.0, 3.4], "no difference shown between the ensemble and a"),
        ([0.4, 1.4, 2.5], "the ensemble is worse than a"),
    ],
)
def test_the_verdict_needs_intervals_that_exclude_zero(ensemble, verdict):
    one = {"a": TimedEvaluation(played([1.0]), 1, 1)}
    assert "no difference shown" in EnsembleScores(Task(), one, TimedEvaluation(played([2.0]), 1, 1)).verdict
    members = {"a": TimedEvaluation(played([1.1, 2.0, 3.0]), 1, 1), "b": TimedEvaluation(played([0.0, 0.0, 0.0]), 1, 1)}
    assert EnsembleScores(Task(), members, TimedEvaluation(played(ensemble), 1, 1)).verdict == verdict
