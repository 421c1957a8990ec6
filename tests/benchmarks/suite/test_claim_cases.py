"""Cases of the claims differ from each other only in what their claim compares."""

from itertools import pairwise

import pytest

from agents.settings.layers import differences, make_settings, read_layer
from benchmarks.suite.cases import BENCHMARKS, DEVICE_EPISODES
from benchmarks.suite.claim_cases import (
    COMPARED_SEEDS,
    EPISODES_PER_FAST_RUN,
    FEW_SEEDS,
    OPTIMIZER_RATES,
    PRESET_RATES,
    RATE_STUDY_EPISODES,
    REPORTED_RATE,
    REWARDS,
    SGD_RATE,
    SHORT_BUDGET,
    TOKENS,
    UNITS,
    WHOLE_SGD_RATES,
    grid_variant,
    rate_variant,
)
from token_env import REWARDS as ALL_REWARDS

CASES = {case.name: case for each in ("claims", "fast-vs-stable", "heads") for case in BENCHMARKS[each].cases}


def rate_case(size, optimizer, rate):
    as_reported = (optimizer, rate) == ("adam", REPORTED_RATE)
    return CASES[f"{size}/{'as-reported' if as_reported else rate_variant(optimizer, rate)}"]


def changes(one, other):
    return {name for name, _, _ in differences(one.to_dict(), other.to_dict())}


@pytest.mark.parametrize("size", ["fast", "stable"])
@pytest.mark.parametrize("optimizer", OPTIMIZER_RATES)
def test_cases_of_an_optimizer_differ_in_the_rate_alone(size, optimizer):
    rates = OPTIMIZER_RATES[optimizer]
    cases = [rate_case(size, optimizer, rate).settings(0) for rate in rates]
    assert [settings.hyperparameters.learning_rate for settings in cases] == list(map(float, rates))
    allowed = {f"{cases[0].section}.learning_rate"} | ({"episodes", "policy.head"} if size == "stable" else set())
    allowed |= {f"{section}.learning_rate" for section in ("maskable_ppo", "recurrent_ppo")}
    for settings in cases:
        assert changes(cases[-1], settings) <= allowed


@pytest.mark.parametrize("size", ["fast", "stable"])
def test_rmsprop_replaces_adam_alone(size):
    for rate in OPTIMIZER_RATES["rmsprop"][1:]:
        ours, adams = (rate_case(size, optimizer, rate).settings(0) for optimizer in ("rmsprop", "adam"))
        assert changes(ours, adams) == {"policy.optimizer"}


@pytest.mark.parametrize("size", ["fast", "stable"])
def test_the_settings_for_sgd_are_those_of_their_file(size):
    file = make_settings(read_layer(f"reported/{size}-sgd"))
    case = rate_case(size, "sgd", SGD_RATE).settings(0)
    assert changes(file, case) <= {"env.discount", "policy.head"}
    assert (file.policy.optimizer, file.a2c.learning_rate) == ("sgd", float(SGD_RATE))


def test_the_rates_of_sgd_lie_three_to_four_times_apart_on_both_sides_of_the_best():
    rates = list(map(float, OPTIMIZER_RATES["sgd"]))
    assert all(2.9 < above / below < 3.4 for below, above in pairwise(rates))
    assert rates[0] == float(REPORTED_RATE) < float(SGD_RATE) < rates[-2]


def test_stable_plays_all_episodes_with_the_rates_that_are_compared_to_the_end():
    for optimizer, rates in OPTIMIZER_RATES.items():
        for rate in rates:
            whole = (optimizer == "sgd" and rate in WHOLE_SGD_RATES) or (optimizer, rate) == ("adam", REPORTED_RATE)
            episodes = rate_case("stable", optimizer, rate).settings(0).episodes
            assert episodes == (5000 if whole else RATE_STUDY_EPISODES)


def changed(case, other):
    """Names of the settings in which two cases differ."""
    return changes(CASES[case].settings(0), CASES[other].settings(0))


def test_the_rates_of_our_preset_lie_on_both_sides_of_its_own():
    own = CASES["fast/preset"].settings(0)
    for rate in PRESET_RATES:
        settings = CASES[f"fast/preset-rate-{rate}"].settings(0)
        assert settings.ppo.learning_rate == float(rate)
        assert {name.rpartition(".")[2] for name in changes(own, settings)} == {"learning_rate"}
    assert float(PRESET_RATES[0]) < own.ppo.learning_rate < float(PRESET_RATES[-1])


@pytest.mark.parametrize(("half", "whole"), [("fast/half", "fast/preset"), ("plain/half", "fast/fast")])
def test_half_a_training_has_half_the_episodes_and_nothing_else_differs(half, whole):
    assert changed(half, whole) == {"episodes"}
    assert 2 * CASES[half].settings(0).episodes == CASES[whole].settings(0).episodes


@pytest.mark.parametrize(("name", "budget"), [("hybrid", 5000), ("short-hybrid", SHORT_BUDGET)])
def test_controls_of_a_hybrid_have_the_settings_of_its_second_training(name, budget):
    hybrid, control = CASES[f"stable/{name}"], CASES[f"stable/{name}-control"]
    assert hybrid.settings(0) == control.settings(0)
    assert hybrid.settings(0).episodes == budget - EPISODES_PER_FAST_RUN
    assert changed(f"stable/{name}", "stable/preset") == {"episodes"}
    assert hybrid.start_settings(0) == CASES["fast/preset"].settings(0)
    assert control.start is None


def test_the_short_budget_is_stable_with_fewer_episodes():
    assert changed("stable/short", "stable/preset") == {"episodes"}
    assert CASES["stable/short"].settings(0).episodes == SHORT_BUDGET


def test_stable_with_the_settings_of_fast_has_its_own_task_network_and_budget():
    fast, stable, tuned = (CASES[name].settings(0) for name in ("fast/preset", "stable/preset", "stable/fast-settings"))
    between = {name for name in changes(tuned, stable) if name.startswith(("policy.", "ppo."))}
    assert between == {"policy.successors", "ppo.batch_size", "ppo.n_epochs"}
    assert changes(tuned, stable) <= changes(fast, stable)  # what differs from stable's has the value of fast's
    assert between <= changes(fast, stable) - changes(fast, tuned)
    assert (tuned.env, tuned.episodes, tuned.policy.hidden) == (stable.env, stable.episodes, stable.policy.hidden)


def test_every_reward_is_trained_with_the_discount_of_the_preset_and_without_any():
    assert set(REWARDS) == set(ALL_REWARDS)
    assert REWARDS[0] == CASES["fast/preset"].settings(0).env.reward == "dense"
    for reward in REWARDS:
        far = CASES[f"fast/reward-{reward}-far"].settings(0)
        assert (far.env.reward, far.ppo.gamma, far.ppo.gae_lambda) == (reward, 1.0, 0.95)
        near = CASES["fast/preset" if reward == "dense" else f"fast/reward-{reward}"].settings(0)
        assert (near.env.reward, near.ppo.gamma) == (reward, CASES["fast/preset"].settings(0).ppo.gamma)
        assert {name for name in changes(near, far) if name.startswith("ppo.")} == {"ppo.gamma", "ppo.gae_lambda"}


def test_cells_of_the_grid_differ_from_the_preset_of_their_vocabulary_in_units_and_tokens_alone():
    presets = [(256, 1000), (256, 5000)]
    for units, tokens in ((units, tokens) for units in UNITS for tokens in TOKENS if (units, tokens) not in presets):
        name = f"grid/{grid_variant(units, tokens)}"
        settings = CASES[name].settings(0)
        assert (list(settings.policy.hidden), settings.env.vocab_size) == ([units, units], tokens)
        preset = "intermediate/preset" if tokens == 5000 else "fast/preset"
        assert changed(name, preset) <= {"policy.hidden", "env.vocab_size"}
    for units, tokens in ((512, 1000), (256, 5000), (512, 5000)):
        assert changed(f"plain/{grid_variant(units, tokens)}", "fast/fast") <= {"policy.hidden", "env.vocab_size"}


def test_cases_that_rules_compare_have_more_seeds_than_points_of_a_curve():
    compared = [
        "fast/half", "plain/half", "fast/curriculum", "fast/masks", "fast/plain-masks", "stable/fast-settings",
        "stable/hybrid", "stable/short", "stable/short-hybrid", "stable/hybrid-control", "grid/512-units-1000-tokens",
        "grid/512-units-5000-tokens", "plain/512-units-1000-tokens", "plain/256-units-5000-tokens",
    ]  # fmt: skip
    assert {CASES[name].max_seeds for name in compared} == {COMPARED_SEEDS}
    assert CASES["grid/128-units-1000-tokens"].max_seeds == CASES["fast/preset-rate-1e-2"].max_seeds == FEW_SEEDS
    assert {CASES[f"fast/reward-{reward}-far"].max_seeds for reward in REWARDS} == {None}


@pytest.mark.parametrize("size", ["fast", "stable"])
def test_devices_train_the_preset_for_a_few_hundred_episodes(size):
    cases = {case.name: case for case in BENCHMARKS["devices"].cases}
    assert set(cases) == {"fast/mps", "fast/cpu", "stable/mps", "stable/cpu"}
    for device in ("mps", "cpu"):
        layer = cases[f"{size}/{device}"].layer
        assert layer["device"] == device
        rest = {name: value for name, value in layer.items() if name not in ("device", "episodes")}
        assert rest == {name: value for name, value in CASES[f"{size}/preset"].layer.items() if name in rest}
        assert layer["episodes"] == DEVICE_EPISODES
