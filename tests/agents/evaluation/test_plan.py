"""The same weights with plans of other depths: in play, and recorded step by step."""

import numpy as np
import pytest
import torch

from agents.algorithms.table import ALGORITHMS
from agents.cli.targets import with_constants
from agents.evaluation.agent import Player
from agents.evaluation.episodes import PlanningPlayer, play_episode
from agents.evaluation.scores import evaluate_timed
from tests.support.models import untrained_variant
from token_env import SettingError, evaluate


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_weights_stay_and_the_plan_changes(algorithm):
    agent = untrained_variant(algorithm, "planning", lookahead=2)
    seen = np.random.default_rng(0).normal(size=(20, agent.policy.observation_space.shape[0])).astype(np.float32)
    logits = {depth: agent.with_plan(depth).logits(seen) for depth in (0, 1, 2)}
    np.testing.assert_array_equal(logits[1], agent.logits(seen))
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[1], logits[2])
    tied = agent.with_plan(0)
    assert (tied.settings.policy.head, tied.plan_depth, agent.plan_depth) == ("tied", 0, 1)
    np.testing.assert_array_equal(tied.with_plan(2).logits(seen), logits[2])
    torch.testing.assert_close(tied.policy.state_dict(), agent.policy.state_dict())


@pytest.mark.parametrize(
    ("head", "depth", "message"),
    [
        ("fast", 1, r"policy\.head=fast cannot plan; type a run with policy\.head=planning or tied"),
        ("planning", 2, r"the depth of the plan is 2; it must be from 0 to 1, the run's env\.lookahead"),
        ("tied", -1, r"the depth of the plan is -1; it must be from 0 to 1"),
    ],
)
def test_plans_that_a_run_cannot_make_are_refused(head, depth, message):
    with pytest.raises(SettingError, match=message):
        untrained_variant("ppo", head).with_plan(depth)


@pytest.mark.parametrize("algorithm", ["ppo", "maskable-ppo", "recurrent-ppo"])
def test_a_recorded_episode_is_the_episode_and_its_logits_say_why(algorithm):
    agent = untrained_variant(algorithm, "planning", mask_budget=3.0)
    player = PlanningPlayer(agent)
    *_, batch = play_episode(player, agent.task, 5)
    np.testing.assert_array_equal(batch.tokens[0], evaluate(Player(agent), [5], task=agent.task).actions[0])
    assert [step.chosen for step in player.steps] == batch.tokens[0].tolist()
    assert all(step.total.argmax() == step.chosen for step in player.steps)
    assert any(step.now.argmax() != step.chosen for step in player.steps)
    masked = [np.isinf(step.total) for step in player.steps]
    assert any(map(np.any, masked)) == (algorithm == "maskable-ppo")
    assert all(np.array_equal(mask, np.isinf(step.now)) for mask, step in zip(masked, player.steps, strict=True))


def test_when_a_batch_is_yielded_the_next_token_has_been_recorded():
    agent = untrained_variant("ppo", "planning")
    player = PlanningPlayer(agent)
    recorded = [(int(batch.state.step[0]), len(player.steps)) for batch in play_episode(player, agent.task, 0)]
    assert recorded == [*((step, step + 1) for step in range(8)), (8, 8)]


def test_the_immediate_logits_of_a_recurrent_agent_have_its_memory():
    agent = untrained_variant("recurrent-ppo", "planning")
    player, without = PlanningPlayer(agent), agent.with_plan(0)
    memory, seen = None, []
    for batch in play_episode(player, agent.task, 0):
        if len(seen) < 8:
            distribution, _ = without.distribution(batch.observe(), memory, np.array([not seen]))
            _, memory = agent.distribution(batch.observe(), memory, np.array([not seen]))
            seen.append(player.steps[-1].now)
            np.testing.assert_allclose(distribution.distribution.logits[0], seen[-1], rtol=1e-5, atol=1e-5)
    assert len(seen) == 8


def test_plans_avoid_what_the_masks_of_another_task_forbid():
    agent = untrained_variant("maskable-ppo", "planning", mask_budget=5.0)
    stricter = with_constants(agent, ["env.mask_budget=2.0"])
    expected = untrained_variant("maskable-ppo", "planning", mask_budget=2.0)
    seen = np.random.default_rng(0).normal(size=(20, 51)).astype(np.float32)
    np.testing.assert_array_equal(stricter.logits(seen), expected.logits(seen))
    assert not np.array_equal(stricter.logits(seen), agent.logits(seen))


def test_policies_that_are_timed_in_turns_play_as_they_do_alone():
    agent = untrained_variant("recurrent-ppo", "planning")
    agents = [agent, agent.with_plan(0)]
    for timed, alone in zip(evaluate_timed(agents, agent.task, range(12)), agents, strict=True):
        expected = evaluate(Player(alone), range(12), task=agent.task).actions
        np.testing.assert_array_equal(timed.evaluation.actions, expected)
        assert timed.ms_per_token_batched > 0
