"""The learning-rate cases of one size and optimizer differ in the rate alone, and the best rate can lie inside."""

from itertools import pairwise

import pytest

from agents.settings.layers import differences, make_settings, read_layer
from benchmarks.suite.cases import BENCHMARKS
from benchmarks.suite.claim_cases import (
    OPTIMIZER_RATES,
    RATE_STUDY_EPISODES,
    REPORTED_RATE,
    SGD_RATE,
    WHOLE_SGD_RATES,
    rate_variant,
)

CASES = {case.name: case for each in ("claims", "fast-vs-stable") for case in BENCHMARKS[each].cases}


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
