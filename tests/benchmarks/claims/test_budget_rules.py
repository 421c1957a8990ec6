"""Claims on size, time and devices follow from the numbers by their rules, whichever way these point."""

import numpy as np
import pytest

from agents.evaluation.statistics import difference_interval
from benchmarks.claims.evidence import Source
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED
from benchmarks.measures.figures import steps_per_second
from tests.support.benchmarks.claim_runs import around, evidence, scores, verdict, verdict_at_95

CASES = {  # by head: the case, half its episodes, twice its units
    "our preset": ("fast/preset", "fast/half", "grid/512-units-1000-tokens"),
    "plain logits": ("fast/fast", "plain/half", "plain/512-units-1000-tokens"),
}


def doubled(head, episodes, units):
    """Runs of a head, in which twice the episodes and twice the units bring these points."""
    base, half, wide = CASES[head]
    return {base: {"score": scores()}, half: {"score": scores(-episodes)}, wide: {"score": scores(units)}}


BOTH = doubled("our preset", 6.0, 2.0) | doubled("plain logits", 6.0, 2.0)
NEAR_TWO, NEAR_FIVE = (around(mean, 0.2) for mean in (2.0, 5.0))


@pytest.mark.parametrize("head", CASES)
@pytest.mark.parametrize(
    ("episodes", "units", "expected"),
    [
        (6.0, 2.0, SUPPORTED),
        (2.2, 2.0, SUPPORTED),
        (1.8, 2.0, CONTRADICTED),
        (2.0, NEAR_TWO, NOT_DECIDABLE),
        (6.0, 4.9, SUPPORTED),
        (6.0, 5.1, CONTRADICTED),
        (7.0, NEAR_FIVE, NOT_DECIDABLE),
    ],
)
def test_size_against_time(head, episodes, units, expected):
    assert verdict("size_vs_time", BOTH, doubled(head, episodes, units)).verdict == expected


def test_the_decisive_head_of_size_against_time_is_named_first():
    found = verdict("size_vs_time", BOTH, doubled("plain logits", 8.0, 5.1))
    assert found.findings[0].startswith("With plain logits twice the units bring +5.1")


def test_four_comparisons_of_size_against_time_are_tested_at_98_75_per_cent():
    close = doubled("our preset", 6.0, around(4.0, 0.3))  # 4 ± 0.75 at 95 %, ± 1.5 at 98.75 %
    assert verdict_at_95("size_vs_time", BOTH, close) == SUPPORTED
    assert verdict("size_vs_time", BOTH, close).verdict == NOT_DECIDABLE


def test_only_seeds_that_all_budgets_have_are_compared():
    more = {"fast/half": {"score": (*scores(-6.0), 99.0), "seeds": (0, 1, 2, 3)}}
    assert verdict("size_vs_time", BOTH, more).verdict == SUPPORTED
    others = {"fast/half": {"seeds": (0, 1, 3)}}
    found = verdict("size_vs_time", BOTH, others)
    assert found.verdict == NOT_RUN
    assert found.findings[0].startswith("There are 2 runs of")


def test_half_runs_that_diverge_or_have_no_validation_score_decide_nothing():
    for changes in ({"diverged": (None, None, 500)}, {"score": (50.0, 50.0, None)}):
        found = verdict("size_vs_time", BOTH, {"plain/half": changes})
        assert found.verdict == NOT_DECIDABLE
        assert found.findings == (
            "1 of 3 runs of plain/half of claims have no validation_score: nothing is concluded.",
        )


def machines(fast=None, stable=None):
    """Runs whose speeds on mps are these, and 100 steps per second on the cpu."""
    speeds = {size: speed for size, speed in (("fast", fast), ("stable", stable)) if speed}
    layer = {f"{size}/mps": {"speed": speed} for size, speed in speeds.items()}
    return layer | {f"{size}/cpu": {"speed": 100.0} for size in speeds}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (machines(fast=310.0), SUPPORTED),
        (machines(fast=290.0), CONTRADICTED),
        (machines(fast=490.0), SUPPORTED),
        (machines(fast=510.0), CONTRADICTED),
        (machines(fast=around(300.0, 10.0)), NOT_DECIDABLE),
        (machines(fast=around(500.0, 10.0)), NOT_DECIDABLE),
        (machines(stable=400.0), SUPPORTED),
        (machines(fast=400.0, stable=200.0), CONTRADICTED),
        ({}, NOT_DECIDABLE),
        ({"fast/mps": {}, "fast/cpu": {"seeds": (0, 1)}}, NOT_DECIDABLE),
    ],
)
def test_devices(runs, expected):
    assert verdict("mps", runs).verdict == expected


def test_devices_are_compared_by_the_ratio_of_their_speeds():
    runs = evidence(machines(fast=around(400.0, 20.0)))
    mps, cpu = (np.log(runs.values(Source("devices", f"fast/{name}"), steps_per_second)) for name in ("mps", "cpu"))
    low, high = np.exp(difference_interval(mps, cpu, 0.975)[1:])
    (finding,) = verdict("mps", machines(fast=around(400.0, 20.0))).findings
    assert finding == f"Fast: 4.0 [{low:.1f}, {high:.1f}] times as fast on mps."


def test_two_devices_are_tested_at_97_5_per_cent():
    close = machines(fast=around(390.0, 34.0))  # 3.1 to 4.8 at 95 %, 2.8 to 5.3 at 97.5 %
    assert verdict_at_95("mps", close) == SUPPORTED
    assert verdict("mps", close).verdict == NOT_DECIDABLE


def test_without_runs_on_both_devices_the_commands_are_named():
    (finding,) = verdict("mps", {"fast/mps": {}}).findings
    assert "`python -m benchmarks run devices --seeds 5 --results runs/mps`" in finding
    assert "`python -m benchmarks claims --results runs/mps`" in finding


def tuned(added):
    """Runs of stable with its own settings, and with those of fast, whose scores have this added."""
    own, other = {"score": scores(), "minutes": 2.0}, {"score": scores(added)}
    return {"stable/preset": own, "stable/fast-settings": other, "fast/preset": {"minutes": 0.3}}


@pytest.mark.parametrize(
    ("added", "expected"),
    [(-0.9, SUPPORTED), (3.0, SUPPORTED), (-1.1, CONTRADICTED), (around(-1.0, 0.2), NOT_DECIDABLE)],
)
def test_settings_from_fast(added, expected):
    found = verdict("tuning", tuned(added))
    assert found.verdict == expected
    assert found.findings[1] == "A trial on fast takes 0.3 minutes of processor time, one on stable 2.0."


def test_settings_from_fast_are_scored_on_validation_problems():
    worse_on_test_problems = {"stable/fast-settings": {"test": 0.0}, "stable/preset": {"test": 90.0}}
    assert verdict("tuning", tuned(0.0), worse_on_test_problems).verdict == SUPPORTED
