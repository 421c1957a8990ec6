"""Answers to questions that the report leaves open follow from the numbers, whichever way these point."""

import pytest

from agents.evaluation.statistics import difference_interval
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED, above
from benchmarks.suite.claim_cases import REWARDS, grid_cases
from tests.support.benchmarks.claim_runs import around, scores, verdict, verdict_at_95


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.2, SUPPORTED), (-0.2, CONTRADICTED), (around(0.0, 0.2), NOT_DECIDABLE)]
)
def test_planning(gain, expected):
    runs = {"fast/planning": {"score": scores(gain)}, "fast/tied": {"score": scores()}}
    assert verdict("planning", runs).verdict == expected


def test_seeds_are_paired_where_unpaired_runs_decide_nothing():
    ahead, behind = scores(0.2), scores()
    assert above(difference_interval(ahead, behind)) == NOT_DECIDABLE
    assert verdict("planning", {"fast/planning": {"score": ahead}, "fast/tied": {"score": behind}}).verdict == SUPPORTED
    other_seeds = {"score": (*behind, 0.0), "seeds": (0, 1, 2, 7)}  # the fourth has no partner
    assert verdict("planning", {"fast/planning": {"score": ahead}, "fast/tied": other_seeds}).verdict == SUPPORTED


OTHERS = [f"fast/reward-{reward}{suffix}" for suffix in ("", "-far") for reward in REWARDS[1:]]
DENSE = ("fast/preset", "fast/reward-dense-far")
FIVE = (60.0, 61.0, 62.0, 63.0, 64.0)
TRAINED = {case: {"score": FIVE} for case in DENSE} | {
    case: {"score": (30.0, 31.0, 59.0, 33.0, 34.0)} for case in OTHERS
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 1.0, 59.9, 59.9, 59.9), SUPPORTED),  # every run lies below every run of dense: p = 0.008
        ((64.1, 64.1, 64.1, 99.0, 99.0), CONTRADICTED),
        ((1.0, 1.0, 1.0, 1.0, 60.5), NOT_DECIDABLE),  # p = 0.016, above 0.05 / 6
        (FIVE, NOT_DECIDABLE),
    ],
)
def test_rewards(other, values, expected):
    assert verdict("rewards", TRAINED, {other: {"score": values}}).verdict == expected


def test_six_rewards_share_the_error_probability():
    close = {"fast/reward-exact": {"score": (1.0, 1.0, 1.0, 1.0, 60.5)}}
    assert verdict_at_95("rewards", TRAINED, close) == SUPPORTED
    assert verdict("rewards", TRAINED, close).verdict == NOT_DECIDABLE


def test_three_runs_of_a_reward_cannot_decide():
    three = {case: {"score": figures["score"][:3]} for case, figures in TRAINED.items()}
    assert verdict("rewards", three).verdict == NOT_DECIDABLE  # p = 0.1


@pytest.mark.parametrize(
    ("gain", "expected"), [(1.1, SUPPORTED), (0.9, CONTRADICTED), (around(1.0, 0.2), NOT_DECIDABLE)]
)
def test_curriculum(gain, expected):
    runs = {"fast/curriculum": {"score": scores(gain)}, "fast/preset": {"score": scores()}}
    assert verdict("curriculum", runs).verdict == expected


def masked(ours=0.0, plain=0.0):
    """Runs with masks, tested without: these points more than runs that never had any, on test problems."""
    return {
        "fast/masks": {"unmasked": scores(ours), "test": scores(5.0)},
        "fast/preset": {"test": scores()},
        "fast/plain-masks": {"unmasked": scores(plain), "test": scores(5.0)},
        "fast/fast": {"test": scores()},
    }


@pytest.mark.parametrize("head", ["ours", "plain"])
@pytest.mark.parametrize(
    ("loss", "expected"), [(-0.9, SUPPORTED), (-1.1, CONTRADICTED), (around(-1.0, 0.2), NOT_DECIDABLE)]
)
def test_masks(head, loss, expected):
    found = verdict("masks", masked(**{head: loss}))
    assert found.verdict == expected
    assert any("the masks kept at the test the difference is +5.0" in line for line in found.findings)


def test_masks_with_two_heads_are_tested_at_97_5_per_cent():
    close = masked(plain=around(-0.45, 0.2))  # −0.45 ± 0.50 at 95 %, ± 0.72 at 97.5 %
    assert verdict_at_95("masks", close) == SUPPORTED
    assert verdict("masks", close).verdict == NOT_DECIDABLE


def test_masks_need_three_seeds_that_both_cases_have():
    found = verdict("masks", masked(), {"fast/masks": {"seeds": (3, 4, 5)}})
    assert found.verdict == NOT_RUN
    assert found.findings[0].startswith("There are 0 runs of fast/masks")


def test_masks_of_a_diverged_run_decide_nothing():
    found = verdict("masks", masked(), {"fast/masks": {"diverged": (None, None, 7)}})
    assert found.verdict == NOT_DECIDABLE
    assert found.findings == ("1 of 3 runs of fast/masks of claims have no score_without_masks: nothing is concluded.",)


def widened(ours=0.0, plain=0.0):
    """Runs with 5,000 tokens, in which 512 units bring these points more than 256."""
    return {case.name: {} for case in grid_cases()} | {
        "fast/preset": {},
        "stable/preset": {"minutes": 2.0},
        "intermediate/preset": {"score": scores(), "minutes": 0.8},
        "grid/512-units-5000-tokens": {"score": scores(ours)},
        "plain/256-units-5000-tokens": {"score": scores()},
        "plain/512-units-5000-tokens": {"score": scores(plain)},
    }


@pytest.mark.parametrize("head", ["ours", "plain"])
@pytest.mark.parametrize(
    ("gain", "expected"), [(0.9, SUPPORTED), (-3.0, SUPPORTED), (1.1, CONTRADICTED), (around(1.0, 0.2), NOT_DECIDABLE)]
)
def test_intermediate(head, gain, expected):
    found = verdict("intermediate", widened(**{head: gain}))
    assert found.verdict == expected
    assert found.findings[-1].endswith("in 0.8 minutes of processor time, not 2.0.")


def test_two_widths_are_tested_at_97_5_per_cent():
    close = widened(ours=around(0.45, 0.2))
    assert verdict_at_95("intermediate", close) == SUPPORTED
    assert verdict("intermediate", close).verdict == NOT_DECIDABLE


def transferred(full=0.0, short=0.0, full_used=1.0, short_used=1.0):
    """Runs of stable from fast's weights, which score so many points more with this share of the compute.

    An episode of stable takes as long in every run, and fast the rest of the compute: of 5,000 and of 1,500 episodes.
    """
    first = {"full": 5000 * full_used - 4250, "short": 1500 * short_used - 750}
    minutes = {"full": 42.5, "short": 7.5}
    return {
        "stable/preset": {"score": scores()},
        "stable/hybrid": {"score": scores(full), "minutes": minutes["full"], "start_minutes": first["full"] / 100},
        "stable/hybrid-control": {"score": scores(-2.0)},
        "stable/short": {"score": scores()},
        "stable/short-hybrid": {
            "score": scores(short), "minutes": minutes["short"], "start_minutes": first["short"] / 100,
        },
        "stable/short-hybrid-control": {"score": scores(-2.0)},
    }  # fmt: skip


UNCLEAR = around(0.0, 0.2)


@pytest.mark.parametrize(
    ("full", "short", "expected"),
    [
        (0.2, 0.2, SUPPORTED),
        (0.2, UNCLEAR, SUPPORTED),
        (UNCLEAR, 0.2, SUPPORTED),
        (-0.2, UNCLEAR, CONTRADICTED),
        (-0.2, -0.2, CONTRADICTED),
        (0.2, -0.2, NOT_DECIDABLE),
        (UNCLEAR, UNCLEAR, NOT_DECIDABLE),
    ],
)
def test_weights(full, short, expected):
    assert verdict("weights", transferred(full, short)).verdict == expected


@pytest.mark.parametrize(
    ("gain", "used", "expected"),
    [
        (0.2, 1.09, SUPPORTED),
        (0.2, 1.11, NOT_DECIDABLE),  # ahead with more compute
        (-0.2, 1.5, CONTRADICTED),  # behind with more compute
        (-0.2, 0.92, CONTRADICTED),
        (-0.2, 0.9, NOT_DECIDABLE),  # behind with less compute
        (0.2, 0.9, SUPPORTED),
    ],
)
def test_who_is_ahead_may_use_a_tenth_more_compute(gain, used, expected):
    assert verdict("weights", transferred(full=UNCLEAR, short=gain, short_used=used)).verdict == expected
    assert verdict("weights", transferred(full=gain, short=UNCLEAR, full_used=used)).verdict == expected


def test_two_budgets_are_tested_at_97_5_per_cent():
    close = transferred(full=around(0.6, 0.2), short=UNCLEAR)  # 0.6 ± 0.50 at 95 %, ± 0.72 at 97.5 %
    assert verdict_at_95("weights", close) == SUPPORTED
    assert verdict("weights", close).verdict == NOT_DECIDABLE


def test_the_control_shows_what_the_weights_alone_bring():
    findings = verdict("weights", transferred(0.2, 0.2)).findings
    assert "In the same 4,250 episodes of stable the weights alone bring +2.2 [+2.2, +2.2] points." in findings
    assert "In the same 750 episodes of stable the weights alone bring +2.2 [+2.2, +2.2] points." in findings


@pytest.mark.parametrize("case", ["stable/short", "stable/short-hybrid", "stable/hybrid-control"])
def test_weights_of_a_run_that_diverged_at_its_beginning_decide_nothing(case):
    found = verdict("weights", transferred(0.2, 0.2), {case: {"diverged": (0, None, None)}})
    assert found.verdict == NOT_DECIDABLE
    assert found.findings[0].startswith(f"1 of 3 runs of {case} of claims have no ")


@pytest.mark.parametrize(
    ("name", "runs", "missing"),
    [
        ("planning", {"fast/planning": {}}, "learning --case fast/tied"),
        ("rewards", {"fast/preset": {}}, "claims --case fast/reward-terminal"),
        ("curriculum", {"fast/preset": {}}, "claims --case fast/curriculum"),
        ("masks", {"fast/masks": {"unmasked": 5.0}}, "fast-vs-stable --case fast/preset"),
        ("intermediate", {"intermediate/preset": {}}, "claims --case grid/512-units-5000-tokens"),
        ("weights", {"stable/preset": {}}, "claims --case stable/hybrid"),
    ],
)
def test_missing_runs_are_named(name, runs, missing):
    found = verdict(name, runs)
    assert (found.verdict, len(found.findings)) == (NOT_RUN, 1)
    assert found.findings[0].endswith(f"type python -m benchmarks run {missing}.")
