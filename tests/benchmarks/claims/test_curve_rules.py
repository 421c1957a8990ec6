"""Claims on training curves follow from the numbers by their rules, whichever way these point."""

import pytest

from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED
from tests.support.benchmarks.claim_runs import CLAIMS, REPORTED, around, verdict, verdict_at_95

LEARNS = {"fast/as-reported": {"ends": 1.0}, "stable/as-reported": {"ends": 2.0}}


def presets(fast=None, stable=None, **others):
    """Runs of our presets, and of the report's settings, which learn nothing."""
    sizes = {"fast": fast, "intermediate": {}, "stable": stable}
    return REPORTED | {f"{size}/preset": chosen or {} for size, chosen in sizes.items()} | others


def converging(fast, stable):
    return presets({"converged": fast}, {"converged": stable})


@pytest.mark.parametrize(
    ("fast", "stable", "expected"),
    [
        (around(950, 1), 3000, SUPPORTED),
        (around(970, 1), 3000, CONTRADICTED),
        (around(960, 1), 3000, NOT_DECIDABLE),
        ((101, 101, 300), 3000, SUPPORTED),  # an interval that reaches below the first episode
        (700, around(2410, 1), SUPPORTED),
        (700, around(2390, 1), CONTRADICTED),
        (700, around(2400, 1), NOT_DECIDABLE),
        (700, around(3590, 1), SUPPORTED),
        (700, around(3610, 1), CONTRADICTED),
        (700, around(3600, 1), NOT_DECIDABLE),
        (700, (3000, 3000, None), NOT_DECIDABLE),  # a run that does not change
        (970, (3000, 3000, None), CONTRADICTED),
    ],
)
def test_convergence(fast, stable, expected):
    assert verdict("convergence", converging(fast, stable)).verdict == expected


def test_two_convergences_are_tested_at_97_5_per_cent():
    runs = converging(700, around(3590, 3))  # 3590 ± 7.5 at 95 %, ± 10.7 at 97.5 %
    assert verdict_at_95("convergence", runs) == SUPPORTED
    assert verdict("convergence", runs).verdict == NOT_DECIDABLE


def test_a_diverged_run_has_not_converged():
    runs = presets({"converged": 700}, {"converged": 700, "diverged": (None, None, 900)})
    findings = verdict("convergence", runs).findings
    assert findings[0] == "Stable with our preset, within 5 %: 1 of 3 runs show no convergence."


def test_convergence_is_also_shown_for_other_distances():
    findings = verdict("convergence", converging(700, 3000)).findings
    assert [line.partition(": ")[2] for line in findings if "within 2 %" in line or "within 10 %" in line] == [
        "converges by episode 700 [700, 700].", "converges by episode 700 [700, 700].",
        "converges by episode 3,000 [3,000, 3,000].", "converges by episode 3,000 [3,000, 3,000].",
    ]  # fmt: skip


# In per cent of the optima, 4 and 6: an end of 2.0 is 50 and 33; a spread of 0.3 is 7.5 and 5.
CONSISTENT = presets({"ends": 2.0, "spread": 0.3}, {"ends": 2.7, "spread": 0.6, "fall": 1.2})


@pytest.mark.parametrize(
    ("fast", "stable", "expected"),
    [
        ({}, {}, SUPPORTED),
        ({}, {"ends": 2.95}, SUPPORTED),  # 49.2 % of the optimum, fast 50 %
        ({}, {"ends": 3.05}, CONTRADICTED),
        ({}, {"ends": 3.0}, NOT_DECIDABLE),
        ({"ends": 2.0, "spread": 1.9}, {"spread": 2.9}, SUPPORTED),  # lowest: +0.1
        ({"ends": 2.0, "spread": 2.1}, {"spread": 3.2}, CONTRADICTED),  # lowest: −0.1
        ({"ends": 2.0, "spread": 2.0}, {"spread": 3.1}, NOT_DECIDABLE),
        ({}, {"spread": around(0.47, 0.001)}, SUPPORTED),  # 7.8 % of the optimum, fast 7.5 %
        ({}, {"spread": around(0.43, 0.001)}, CONTRADICTED),
        ({}, {"spread": around(0.45, 0.001)}, NOT_DECIDABLE),
        ({"fall": 0.78}, {}, SUPPORTED),  # 19.5 % of the optimum, stable 20 %
        ({"fall": 0.82}, {}, CONTRADICTED),
        ({"fall": around(0.8, 0.001)}, {}, NOT_DECIDABLE),
    ],
)
def test_consistency(fast, stable, expected):
    runs = (CONSISTENT, {"fast/preset": fast, "stable/preset": stable})
    assert verdict("consistency", *runs).verdict == expected


def test_four_signs_of_consistency_are_tested_at_98_75_per_cent():
    runs = (CONSISTENT, {"fast/preset": {"fall": around(0.52, 0.1)}})  # 7 ± 6.2 points at 95 %, ± 12.8 at 98.75 %
    assert verdict_at_95("consistency", *runs) == SUPPORTED
    assert verdict("consistency", *runs).verdict == NOT_DECIDABLE


def test_the_reports_settings_are_judged_too_where_they_learn():
    assert verdict("consistency", CONSISTENT).verdict == SUPPORTED
    found = verdict("consistency", CONSISTENT, LEARNS)
    assert found.verdict == CONTRADICTED  # fast ends at 25 % of the optimum, stable at 33 %
    assert found.findings[0].startswith("With the report's settings the mean of fast's last 20 episodes less")


@pytest.mark.parametrize("end", [(-0.5, 0.5, 1.0), 0.0])
def test_the_reports_settings_learn_if_the_interval_of_both_sizes_lies_above_zero(end):
    learns_perhaps = LEARNS | {"fast/as-reported": {"ends": end}}
    found = verdict("consistency", CONSISTENT, learns_perhaps)
    assert found.verdict == SUPPORTED
    assert found.findings[-1].startswith("With the report's settings nothing is learned to judge by")


def test_two_settings_share_the_error_probability():
    reported = {"fast/as-reported": {"peak": 2.0}, "stable/as-reported": {"peak": 5.0}}
    runs = (presets({"peak": around(3.0, 1.0)}, {"peak": around(5.6, 1.0)}),)  # 2.6 ± 2.3 at 95 %, ± 2.9 at 97.5 %
    assert verdict("peak", *runs).verdict == SUPPORTED
    assert verdict("peak", *runs, LEARNS, reported).verdict == NOT_DECIDABLE


@pytest.mark.parametrize(
    ("stable", "expected"), [(4.1, SUPPORTED), (3.9, CONTRADICTED), (around(4.0, 0.1), NOT_DECIDABLE)]
)
def test_peak(stable, expected):
    assert verdict("peak", presets({"peak": 4.0}, {"peak": stable})).verdict == expected


def causes(both, stable=5.0):
    """The best episode of fast's preset is 4, that of stable 5, and half of its lead 0.5."""
    cells = {
        "grid/512-units-5000-tokens": {"peak": both},
        "intermediate/preset": {"peak": 4.0},  # the grid's cell with 256 units and 5,000 tokens
    }
    return presets({"peak": 4.0}, {"peak": stable}) | cells


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (causes(4.6), SUPPORTED),
        (causes(4.4), CONTRADICTED),
        (causes(around(4.5, 0.1)), NOT_DECIDABLE),
        (causes(4.6, stable=3.0), NOT_DECIDABLE),  # stable is behind
        (causes(4.6, stable=around(4.1, 0.2)), NOT_DECIDABLE),  # perhaps it has no lead
    ],
)
def test_peak_cause(runs, expected):
    assert verdict("peak_cause", runs).verdict == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(60.5, SUPPORTED), (59.5, CONTRADICTED), (around(60.0, 0.2), NOT_DECIDABLE)]
)
def test_long_tail_compares_the_messages_of_fast(share, expected):
    own_messages = {"rarest": 90.0 if expected == CONTRADICTED else 10.0}
    runs = presets({"rarest": 60.0}, own_messages | {"rarest_of_fast": share})
    assert verdict("long_tail", runs).verdict == expected


def test_runs_without_the_messages_of_fast_decide_nothing():
    found = verdict("long_tail", presets({"rarest": 60.0}, {}))
    assert found.verdict == NOT_DECIDABLE
    assert found.findings == (
        "3 of 3 runs of stable/preset of fast-vs-stable have no rarest_on_fast_messages: nothing is concluded.",
    )


def test_sizes_are_compared_by_welch_not_by_seed():
    runs = presets({"peak": (3.0, 4.0, 5.0)}, {"peak": (3.5, 4.5, 5.5)})  # +0.5 in every pair
    assert verdict("peak", runs).verdict == NOT_DECIDABLE


@pytest.mark.parametrize("name", ["convergence", "consistency", "peak", "peak_cause", "long_tail"])
def test_a_size_without_runs_is_named(name):
    found = verdict(name, REPORTED, {"fast/preset": {}})
    assert found.verdict == NOT_RUN
    assert found.findings[0].endswith("type python -m benchmarks run fast-vs-stable --case stable/preset.")
    assert CLAIMS[name].rule == found.rule
