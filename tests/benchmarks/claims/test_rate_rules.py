"""The claim on learning rates follows from the rule, by optimizer."""

import pytest

from benchmarks.claims.rate_rules import SIZES, diverges, rate_source
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, SUPPORTED
from benchmarks.suite.claim_cases import OPTIMIZER_RATES, PRESET_RATES
from tests.support.benchmarks.claim_runs import CLAIMS, around, verdict, verdict_at_95
from tests.support.benchmarks.rows import make_diverged_row, make_row

EXPLODED = {"losses": [1.0, 1e8]}


def study(optimizer, sizes=SIZES, diverging=(), **by_rate):
    """Runs of an optimizer by case, of which 1e-6 ends at 1 and all others at 0.

    Args:
        optimizer: Name of the optimizer.
        sizes: Sizes with the changes of `by_rate`.
        diverging: Rates at which all runs of both sizes diverge.
        by_rate: Changed figures by rate, such as `rate_1e_3`.
    """
    layer = {}
    for size in SIZES:
        changes = by_rate if size in sizes else {}
        for rate in OPTIMIZER_RATES[optimizer]:
            figures = {"ends": 1.0 if rate == "1e-6" else 0.0} | (EXPLODED if rate in diverging else {})
            layer[rate_source(size, optimizer, rate).case] = figures | changes.get(f"rate_{rate.replace('-', '_')}", {})
    return layer


def holding(optimizer, sizes=SIZES, **by_rate):
    """Runs with which the claim holds, but for the changes: 1e-6 ends highest, and 1e-5 and 1e-4 diverge."""
    return study(optimizer, sizes, ("1e-5", "1e-4"), **by_rate)


FAILING = {optimizer: study(optimizer) for optimizer in OPTIMIZER_RATES}  # no run diverges


def with_failing_others(optimizer, runs):
    return [*(failing for other, failing in FAILING.items() if other != optimizer), runs]


@pytest.mark.parametrize("optimizer", OPTIMIZER_RATES)
def test_the_claim_is_supported_if_it_holds_with_one_optimizer(optimizer):
    found = verdict("lr", *with_failing_others(optimizer, holding(optimizer)))
    assert found.verdict == SUPPORTED
    labels = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}
    for other, label in labels.items():
        outcome = SUPPORTED if other == optimizer else CONTRADICTED
        assert f"with {label} {outcome}" in found.findings[0]


def test_the_claim_is_contradicted_if_it_fails_with_all_optimizers():
    assert verdict("lr", *FAILING.values()).verdict == CONTRADICTED


@pytest.mark.parametrize("missing", OPTIMIZER_RATES)
def test_an_optimizer_without_runs_leaves_it_undecided_unless_another_supports_it(missing):
    present, other = (name for name in OPTIMIZER_RATES if name != missing)
    found = verdict("lr", FAILING[present], FAILING[other])
    assert found.verdict == NOT_DECIDABLE
    assert any(line.startswith("There are 0 runs of") and "type python -m" in line for line in found.findings)
    assert verdict("lr", FAILING[present], holding(other)).verdict == SUPPORTED


def test_an_optimizer_with_too_few_runs_at_one_rate_of_one_size_decides_nothing():
    two_runs = {"stable/rmsprop-rate-3e-2": {"seeds": (0, 1)}}
    assert verdict("lr", *FAILING.values(), two_runs).verdict == NOT_DECIDABLE


ABOVE, EQUAL = {"ends": 1.1}, {"ends": around(1.0, 0.1)}
UNSTABLE = {"losses": ([1.0], [1e8], [1.0])}  # one of three runs


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rate_1e_3": {"ends": 0.9}}, SUPPORTED),
        ({"rate_1e_3": ABOVE}, CONTRADICTED),
        ({"rate_1e_3": EQUAL}, NOT_DECIDABLE),
        ({"rate_1e_3": EQUAL, "rate_3e_3": ABOVE}, CONTRADICTED),
        ({"rate_1e_3": ABOVE | UNSTABLE}, SUPPORTED),  # ahead, but a run diverges
        ({"rate_1e_4": UNSTABLE}, NOT_DECIDABLE),  # not all runs diverge
        ({"rate_1e_4": {"losses": [1.0, 2.0]}}, CONTRADICTED),
        ({"rate_1e_5": {"losses": [1.0, 2.0]}}, CONTRADICTED),
        ({"rate_1e_6": UNSTABLE}, CONTRADICTED),
        ({"rate_1e_6": {"diverged": (None, None, 0)}}, CONTRADICTED),
        ({f"rate_{rate.replace('-', '_')}": EXPLODED for rate in OPTIMIZER_RATES["adam"][1:]}, SUPPORTED),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_both_sizes_decide(size, changes, expected):
    runs = holding("adam", (size,), **changes)
    assert verdict("lr", *with_failing_others("adam", runs)).verdict == expected


def test_rates_are_compared_after_as_many_episodes_as_both_have():
    # Stable plays 400 episodes at other rates; at 1e-6 its first 100 of 5,000 end later at 1, but are at −999.
    late = holding("adam", ("stable",), rate_1e_6={"converged": 600}, rate_1e_3={"ends": 0.5})
    assert verdict("lr", *with_failing_others("adam", late)).verdict == CONTRADICTED
    early = holding("adam", ("stable",), rate_1e_6={"converged": 400}, rate_1e_3={"ends": 0.5})
    assert verdict("lr", *with_failing_others("adam", early)).verdict == SUPPORTED


def test_every_rate_is_compared_at_the_level_of_all():
    compared = sum(len(rates) - 1 for rates in OPTIMIZER_RATES.values()) * len(SIZES)
    assert CLAIMS["lr"].confidence == pytest.approx(1 - 0.05 / compared)
    close = holding("adam", rate_1e_3={"ends": around(0.5, 0.1)})  # −0.5 ± 0.25 at 95 %, ± 1.9 at that level
    assert verdict_at_95("lr", *with_failing_others("adam", close)) == SUPPORTED
    assert verdict("lr", *with_failing_others("adam", close)).verdict == NOT_DECIDABLE


RETURNS = [-10.0] * 399 + [1.0]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([1.0, 9_999.0], False), ([1.0, 10_001.0], True), ([-10_001.0], True), ([1.0, None], True), ([], False)],
)
def test_a_run_diverges_if_a_loss_is_not_finite_or_above_100_squares_of_the_largest_return(losses, expected):
    assert diverges(make_row(returns=RETURNS, losses=losses)) is expected


def test_a_run_that_stopped_diverges_and_one_that_learns_nothing_does_not():
    assert diverges(make_diverged_row())
    assert diverges(make_diverged_row(episodes=0))
    floor = make_row(returns=[-90.0] * 300 + [-190.0] * 100, losses=[4000.0])  # it falls to what random tokens earn
    assert not diverges(floor)


def test_rates_of_our_preset_are_shown_and_decide_nothing():
    runs = {f"fast/preset-rate-{rate}": {"ends": 2.0} for rate in PRESET_RATES} | {"fast/preset": {"ends": 2.5}}
    found = verdict("lr", *FAILING.values(), runs)
    assert found.verdict == CONTRADICTED
    assert found.findings[-1].endswith("2e-2 +2.00; its own, 0.005, +2.50.")
    for incomplete in ({"fast/preset-rate-2e-2": {"diverged": 0}}, {"fast/preset": {"diverged": 0}}):
        found = verdict("lr", *FAILING.values(), runs, incomplete)
        assert found.verdict == CONTRADICTED
        assert found.findings[-1].endswith("have no mean_last_100: nothing is concluded.")
