import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given

from tests.token_env.rules.test_dynamics import games
from token_env import Dynamics, SettingError, Task
from token_env.rules import dynamics as transitions
from token_env.rules import masks
from token_env.rules.problems import Problems
from token_env.rules.state import State

ROUNDING = 1e-5  # of float32: of rewards and of observed totals
CLEAR = 1e-4  # nats by which a surprisal is clearly within or beyond the mask budget


def tensor(array):
    """The array as on a device without float64."""
    return torch.as_tensor(array.astype(np.float32) if array.dtype == np.float64 else array)


def trajectories(dynamics, problems, actions):
    """What the rules say on NumPy and on torch: observation, masks, rewards and whether it is over, step by step."""
    there = dynamics.on(tensor)
    problems_there, due = Problems(*map(tensor, problems)), dynamics.due(problems)
    state, state_there = dynamics.initial(problems), there.initial(problems_there)
    for action in actions:
        step, step_there = (
            dynamics.transition(problems, state, action),
            there.transition(problems_there, state_there, tensor(action)),
        )
        yield (
            state,
            (dynamics.observe_due(due, state), dynamics.legal(state), dynamics.rewards(step), step.done),
            (
                there.observe_due(tensor(due), state_there),
                there.legal(state_there),
                there.rewards(step_there),
                step_there.done,
            ),
        )
        state, state_there = step.next_state, step_there.next_state


def differences(dynamics, problems, actions):
    """Names of what differs between NumPy and torch, beyond rounding and away from ties."""
    found = set()
    for state, here, there in trajectories(dynamics, problems, actions):
        assert all(isinstance(part, torch.Tensor) for part in there)
        (seen, legal, rewards, done), others = here, [part.numpy() for part in there]
        surprisal = dynamics.language.surprisals(state.previous)
        clear = np.abs(surprisal - dynamics.mask_budget) > CLEAR
        exact = seen.dtype == np.int64 or not dynamics.reward.accrued
        found |= {
            name
            for name, equal in {
                "dtype": seen.dtype == others[0].dtype and legal.dtype == others[1].dtype,
                "observation": np.array_equal(seen, others[0])
                if exact
                else np.allclose(seen, others[0], atol=ROUNDING),
                "masks": (legal == others[1])[clear].all() and others[1].any(axis=1).all(),
                "rewards": np.allclose(rewards, others[2], rtol=ROUNDING, atol=ROUNDING),
                "done": np.array_equal(done, others[3]),
            }.items()
            if not equal
        }
    return found


@given(games())
def test_numpy_and_torch_follow_the_same_rules(game):
    assert differences(*game) == set()


def play():
    dynamics = Dynamics(Task(vocab_size=70, max_steps=9))
    actions = np.random.default_rng(0).integers(70, size=(9, 20))
    return dynamics, dynamics.problems.draw(np.arange(20)), actions


BREAKS = {
    "rewards": (
        transitions,
        "fluency_penalty",
        lambda right: lambda s, budget, *others: right(s, budget + 0.01, *others),
    ),
    "masks": (masks, "rows_of", lambda right: lambda table, ids: right(table, ids - 1)),
    "observation": (transitions, "rows_of", lambda right: lambda table, ids: right(table, (ids + 1) % len(table))),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_rule_that_is_broken_for_torch_alone_is_noticed(broken, monkeypatch):
    module, name, breaking = BREAKS[broken]
    right = getattr(module, name)
    wrong = breaking(right)
    monkeypatch.setattr(
        module, name, lambda first, *others: (wrong if isinstance(first, torch.Tensor) else right)(first, *others)
    )
    assert broken in differences(*play())


def test_the_rules_on_another_library_leave_the_original_alone():
    dynamics, problems, actions = play()
    before = list(trajectories(dynamics, problems, actions))
    dynamics.on(tensor)
    for (_, here, _), (_, again, _) in zip(before, trajectories(dynamics, problems, actions), strict=True):
        assert all(isinstance(part, np.ndarray) for part in again)
        for part, other in zip(here, again, strict=True):
            np.testing.assert_array_equal(part, other)


def test_a_reward_of_the_users_stays_with_numpy():
    dynamics = Dynamics(dataclasses.replace(Task(vocab_size=64, max_steps=4), reward=lambda step: step.adequacy))
    with pytest.raises(SettingError, match="takes NumPy arrays; the rules on others need a named one"):
        dynamics.on(tensor)


def test_a_state_has_the_precision_of_the_problems():
    dynamics, problems, _ = play()
    state = dynamics.on(tensor).initial(Problems(*map(tensor, problems)))
    assert State(*(part.dtype for part in state)) == State(torch.int64, torch.int64, torch.float32, torch.float32)
