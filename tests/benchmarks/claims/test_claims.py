"""Verdicts follow from the numbers by their rules, whichever way these point."""

import re
from functools import cache

import numpy as np
import pytest

from agents.evaluation.scores import Figures
from agents.evaluation.statistics import Interval
from benchmarks.claims.budget_rules import BUDGET_CLAIMS
from benchmarks.claims.curve_rules import CURVE_CLAIMS
from benchmarks.claims.evidence import Evidence, TooFewRunsError, read_evidence, size_source
from benchmarks.claims.judge import judge_evidence, markdown_text, recommendations, terminal_text, verdicts
from benchmarks.claims.open_questions import OPEN_QUESTIONS
from benchmarks.claims.recommendations import recommend
from benchmarks.claims.verdict import (
    CONTRADICTED,
    NOT_DECIDABLE,
    NOT_RUN,
    SUPPORTED,
    above,
    below,
    combined_verdict,
    within,
)
from benchmarks.measures.results_file import Rows, append, results_file
from benchmarks.measures.row import Start
from benchmarks.pages import documents
from benchmarks.suite.claim_cases import grid_cases
from tests.support.benchmark_rows import figures, make_row
from token_env import SettingError

OPTIMUM = {30: 4.0, 50: 6.0}  # of made-up runs, by steps: a score of 80 is a mean return of 3.2 in 30
SEEDS = (0, 1, 2)
BENCHMARKS = {"as-reported": "fast-vs-stable", "preset": "fast-vs-stable", "fast": "heads"}  # by variant
CLAIMS = {claim.name: claim for claim in (*CURVE_CLAIMS, *BUDGET_CLAIMS, *OPEN_QUESTIONS)}
REPORTED = {"fast/as-reported": {"ends": -90.0}, "stable/as-reported": {"ends": -190.0}}
PRESETS = {
    "fast/preset": {"ends": 2.3, "score": 80, "peak": 3.5, "rarest": 59, "minutes": 0.3},
    "intermediate/preset": {"ends": 1.9, "score": 75, "peak": 3.0, "minutes": 0.8},
    "stable/preset": {"ends": 3.2, "score": 75, "peak": 4.7, "rarest": 51, "spread": 0.4, "minutes": 2.0},
    "fast/fast": {"ends": 1.0, "score": 40},
}


@pytest.fixture(autouse=True)
def no_solving(monkeypatch):
    monkeypatch.setattr("benchmarks.measures.figures.mean_optimum", lambda task, *of: OPTIMUM[task.max_steps])


plain_row = cache(make_row)


def made(case, seed, **figure):
    """A run with these figures, each a little different from seed to seed."""
    shift = 0.01 * (seed - 1)
    row = plain_row(benchmark_of(case), case, seed)
    return row.model_copy(
        update={
            "returns": made_returns(len(row.returns), seed, shift, **figure),
            "losses": (1.0,),
            "held_out": row.held_out | {"agent (greedy)": made_figures(row, shift, **figure)},
            "without_masks": made_figures(row, shift, score=figure["free"]) if "free" in figure else None,
            "training": row.training.model_copy(
                update={"seconds": 60 * figure.get("minutes", 1.0), "cpu_seconds": 100.0 + shift}
            ),
            "machine": row.machine.model_copy(update={"device": figure.get("device", "cpu")}),
            "start": row_start(row, figure["start"]) if "start" in figure else None,
        }
    )


def made_returns(count, seed, shift, ends=1.0, first=None, middle=None, until=None, peak=None, spread=0.3, **_):
    returns = ends + shift + spread * np.random.default_rng(seed).normal(size=count).clip(-2, 2)
    returns[: until or 0] -= 5.0
    if middle is not None:
        returns[count // 2 - 100 : count // 2] = middle
    if first is not None:
        returns[:100] = first
    if peak is not None:
        returns[150] = peak
        returns = returns.clip(max=peak) + shift
    return tuple(returns.tolist())


def made_figures(row, shift, score=50.0, rarest=50.0, **_):
    earned = OPTIMUM[row.settings.env.max_steps] * score / 100 + shift
    told = figures(mean_return=earned, adequacy_by_rarity=[0.9, 0.8, 0.7, rarest / 100 + shift])
    return Figures.model_validate(told)


def row_start(row, cpu_seconds):
    """A start that took so much processor time, where the run itself took 100 seconds."""
    return Start(settings=row.settings, training=row.training.model_copy(update={"cpu_seconds": cpu_seconds}))


def benchmark_of(case):
    return BENCHMARKS.get(case.partition("/")[2], "claims")


def evidence(*layers):
    """Runs of these cases, later figures over earlier ones."""
    merged = {}
    for layer in layers:
        for case, figure in layer.items():
            merged[case] = merged.get(case, {}) | figure
    rows = {name: [] for name in ("fast-vs-stable", "heads", "claims")}
    for case, figure in merged.items():
        rows[benchmark_of(case)] += [made(case, seed, **figure) for seed in SEEDS]
    return Evidence({name: Rows(None, good, {}) for name, good in rows.items()})


def verdict(name, *layers):
    return CLAIMS[name].verdict(evidence(*layers))


def rates(sizes=("fast", "stable"), **by_rate):
    """Runs at every learning rate, all like those at 1e-6 but for the ones given."""
    cases = {"fast/rate-": -90.0, "stable/rate-": -190.0, "fast/preset-rate-": 0.0}
    names = ("1e-6", "1e-5", "1e-4", "3e-4", "1e-3", "3e-3")
    layer = {f"{case}{rate}": {"ends": ends - 5.0} for case, ends in cases.items() for rate in names}
    for rate, figure in by_rate.items():
        for size in sizes:
            layer[f"{size}/rate-{rate.replace('_', '-')}"] = figure
    return {case: figure for case, figure in layer.items() if case not in ("fast/rate-1e-6", "stable/rate-1e-6")}


FALLING = {"ends": -300.0, "first": -190.0}
RISING = {"ends": 0.5, "first": -190.0}
GRID = {"grid/512-units-5000-tokens": {}, "grid/512-units-1000-tokens": {}, "plain/512-units-1000-tokens": {}}
REWARDS = {
    f"fast/reward-{name}": {"score": 30}
    for name in ("terminal", "potential", "exact", "dense-far", "terminal-far", "potential-far")
}
HYBRID = {"stable/hybrid": {"start": 15.0}, "stable/short": {"score": 60}, "stable/short-hybrid": {"start": 100.0}}


@pytest.mark.parametrize(
    ("name", "runs", "expected"),
    [
        ("lr", [REPORTED, PRESETS, rates(**{"1e_5": FALLING, "1e_4": FALLING})], SUPPORTED),
        ("lr", [REPORTED, PRESETS, rates(**{"1e_5": FALLING, "1e_4": FALLING, "1e_3": RISING})], CONTRADICTED),
        ("lr", [REPORTED, PRESETS, rates(**{"1e_5": FALLING, "1e_4": {"ends": -195, "first": -300}})], CONTRADICTED),
        ("lr", [REPORTED, PRESETS, rates(("stable",), **{"1e_5": FALLING, "1e_4": FALLING})], NOT_DECIDABLE),
        ("convergence", [{"fast/preset": {"until": 700}, "stable/preset": {"until": 3000}}], SUPPORTED),
        ("convergence", [{"fast/preset": {"until": 1200}, "stable/preset": {"until": 3000}}], CONTRADICTED),
        ("convergence", [{"fast/preset": {"until": 700}, "stable/preset": {"until": 1000}}], CONTRADICTED),
        ("convergence", [{"fast/preset": {"until": 700}, "stable/preset": {"until": 3950}}], NOT_DECIDABLE),
        ("consistency", [{"stable/preset": {"ends": 2.0}}], SUPPORTED),
        ("consistency", [{"stable/preset": {"ends": 3.2}}], CONTRADICTED),
        ("consistency", [{"stable/preset": {"ends": 2.0, "spread": 0.2}}], CONTRADICTED),
        ("consistency", [{"fast/preset": {"ends": -0.3}, "stable/preset": {"ends": -0.5}}], CONTRADICTED),
        ("peak", [{"grid/512-units-5000-tokens": {"peak": 4.4}}], SUPPORTED),
        ("peak", [{"grid/512-units-5000-tokens": {"peak": 3.6}}], CONTRADICTED),
        ("peak", [{"grid/512-units-5000-tokens": {"peak": 4.4}, "stable/preset": {"peak": 3.5}}], NOT_DECIDABLE),
        ("long_tail", [{"stable/preset": {"rarest": 70}}], SUPPORTED),
        ("long_tail", [{"stable/preset": {"rarest": 50}}], CONTRADICTED),
        ("long_tail", [{"stable/preset": {"rarest": 59}}], NOT_DECIDABLE),
    ],
)
def test_the_reports_trainings_are_judged_by_the_rules(name, runs, expected):
    found = verdict(name, REPORTED, PRESETS, GRID, *runs)
    assert found.verdict == expected
    assert found.rule


ALL_CELLS = {case.name: {} for case in grid_cases()}
WIDE = "grid/512-units-1000-tokens", "plain/512-units-1000-tokens"
LONGER = {"fast/preset": {"middle": 1.8}, "fast/fast": {"middle": 0.5}}
WIDER = {WIDE[0]: {"ends": 2.4, "score": 81}, WIDE[1]: {"ends": 1.1, "score": 41}}


@pytest.mark.parametrize(
    ("name", "runs", "expected"),
    [
        ("size_vs_time", [GRID, LONGER, WIDER], SUPPORTED),
        ("size_vs_time", [GRID, LONGER, WIDER, {WIDE[0]: {"ends": 3.5}}], CONTRADICTED),
        ("size_vs_time", [GRID, LONGER, WIDER, {WIDE[1]: {"score": 50}}], CONTRADICTED),
        ("size_vs_time", [GRID, LONGER, WIDER, {WIDE[1]: {"ends": 1.5}}], NOT_DECIDABLE),
        ("hybrid", [HYBRID, {"stable/hybrid": {"score": 80}, "stable/short-hybrid": {"score": 70}}], SUPPORTED),
        ("hybrid", [HYBRID, {"stable/hybrid": {"score": 75}, "stable/short-hybrid": {"score": 70}}], SUPPORTED),
        ("hybrid", [HYBRID, {"stable/hybrid": {"score": 70}, "stable/short-hybrid": {"score": 60}}], CONTRADICTED),
        ("hybrid", [HYBRID, {"stable/hybrid": {"score": 70}, "stable/short-hybrid": {"score": 70}}], NOT_DECIDABLE),
        ("mps", [], NOT_DECIDABLE),
        ("intermediate", [ALL_CELLS, {"grid/512-units-5000-tokens": {"score": 75}}], SUPPORTED),
        ("intermediate", [ALL_CELLS, {"grid/512-units-5000-tokens": {"score": 79}}], CONTRADICTED),
        ("rewards", [REWARDS], SUPPORTED),
        ("rewards", [REWARDS, {"fast/reward-potential": {"score": 90}}], CONTRADICTED),
        ("rewards", [REWARDS, {"fast/reward-terminal-far": {"score": 80}}], NOT_DECIDABLE),
        ("curriculum", [{"fast/curriculum": {"score": 85}}], SUPPORTED),
        ("curriculum", [{"fast/curriculum": {"score": 80}}], CONTRADICTED),
        ("curriculum", [{"fast/curriculum": {"score": 81}}], NOT_DECIDABLE),
        ("masks", [{"fast/masks": {"free": 80}, "fast/plain-masks": {"free": 40}}], SUPPORTED),
        ("masks", [{"fast/masks": {"free": 80}, "fast/plain-masks": {"free": -9}}], CONTRADICTED),
    ],
)
def test_what_compute_is_spent_on_and_our_own_questions_are_judged_by_the_rules(name, runs, expected):
    assert verdict(name, PRESETS, *runs).verdict == expected


@pytest.mark.parametrize(("start", "expected"), [(100.0, SUPPORTED), (130.0, NOT_DECIDABLE)])
def test_a_hybrid_that_used_more_compute_than_the_other_proves_nothing(start, expected):
    ahead = {"stable/hybrid": {"score": 75}, "stable/short-hybrid": {"score": 70, "start": start}}
    assert verdict("hybrid", PRESETS, HYBRID, ahead).verdict == expected  # 750 episodes and 750 or 975 of 1,500


def test_stable_at_other_rates_is_compared_with_as_many_episodes_at_the_reports():
    later_better = {"stable/as-reported": {"ends": -185.0, "until": 450}}  # -190 in the 400 that are compared
    between = {**rates(**{"1e_5": FALLING, "1e_4": FALLING}), "stable/rate-1e-3": {"ends": -187.0}}
    assert verdict("lr", REPORTED, PRESETS, later_better, between).verdict == CONTRADICTED


@pytest.mark.parametrize(("minutes", "expected"), [(0.25, SUPPORTED), (0.9, CONTRADICTED)])
def test_devices_are_compared_where_there_are_runs_on_both(minutes, expected):
    runs = [made("fast/preset", seed, minutes=1.0 + 0.01 * seed) for seed in SEEDS]
    runs += [made("fast/preset", seed + 3, minutes=minutes + 0.001 * seed, device="mps") for seed in SEEDS]
    found = judge_evidence(Evidence({"fast-vs-stable": Rows(None, runs, {})}))
    assert next(each for each in found if each.name == "mps").verdict == expected


def test_the_reports_settings_are_judged_too_where_they_learn():
    learns = {"fast/as-reported": {"ends": 1.0}, "stable/as-reported": {"ends": 2.0}}
    alike = {"stable/preset": {"ends": 2.0}}
    assert verdict("consistency", REPORTED, PRESETS, alike).verdict == SUPPORTED
    assert verdict("consistency", learns, PRESETS, alike).verdict == CONTRADICTED


def test_a_claim_whose_runs_are_missing_is_not_run_and_says_what_to_type():
    found = {each.name: each for each in judge_evidence(evidence(REPORTED, PRESETS))}
    assert {name for name, each in found.items() if each.verdict == NOT_RUN} == {
        "lr", "peak", "size_vs_time", "hybrid", "intermediate", "rewards", "curriculum", "masks",
    }  # fmt: skip
    (words,) = found["curriculum"].findings
    assert words.endswith("type python -m benchmarks run claims --case fast/curriculum.")


def test_two_runs_are_too_few():
    two = Evidence({"fast-vs-stable": Rows(None, [made("fast/preset", seed) for seed in (0, 1)], {})})
    with pytest.raises(TooFewRunsError, match=r"2 runs of fast/preset of fast-vs-stable, of 3"):
        two.rows(size_source("fast"))


def test_what_decided_comes_first():
    found = verdict("consistency", REPORTED, PRESETS, {"stable/preset": {"ends": 2.0, "spread": 0.2}})
    assert found.findings[0].startswith("The standard deviation of its last 100 less that of stable's is +0.")


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.1, 0.3, SUPPORTED), (-0.3, -0.1, CONTRADICTED), (-0.1, 0.1, NOT_DECIDABLE)]
)
def test_an_interval_decides_where_all_of_it_is_on_one_side(low, high, outcome):
    interval = Interval((low + high) / 2, low, high)
    assert above(interval) == outcome
    assert below(Interval(-interval.estimate, -high, -low)) == outcome
    assert within(interval, 0.0, 1.0) == outcome


def test_parts_make_a_verdict():
    assert combined_verdict([]) == NOT_DECIDABLE


def advice(*layers):
    runs = evidence(REPORTED, *layers)
    return recommend(runs, judge_evidence(runs))


def test_recommendations_follow_from_the_numbers_and_vanish_with_them():
    said = advice(PRESETS)
    assert [sentence.partition(" when")[0] for sentence in said] == ["Use fast", "Use stable", "Use intermediate"]
    assert "0.3 minutes instead of 2.0, and comes 5 points nearer to its optimum" in said[0]
    slow = {"fast/preset": {"minutes": 3.0}, "intermediate/preset": {"minutes": 3.0}, "stable/preset": {"score": 45}}
    assert advice(PRESETS, slow) == []


def test_a_learning_rate_and_a_width_are_recommended_where_runs_say_so():
    widths = {"grid/128-units-1000-tokens": {"score": 79.9}, "grid/512-units-1000-tokens": {"score": 80.1}}
    said = advice(PRESETS, rates(**{"3e_4": {"ends": 0.5}}), widths)
    assert any("take a learning rate of 3e-4 for fast, not 1e-6" in sentence for sentence in said)
    assert any(sentence.startswith("128 hidden units are enough") for sentence in said)
    said = advice(PRESETS, rates(), widths | {"grid/128-units-1000-tokens": {"score": 60}})
    assert not any("learning rate" in sentence for sentence in said)
    assert any(sentence.startswith("256 hidden units are enough") for sentence in said)


def test_verdicts_become_advice():
    assert advice(PRESETS, {"fast/curriculum": {"score": 85}})[-1].startswith("Train with `--curriculum`. A curriculum")
    assert advice(PRESETS, {"fast/curriculum": {"score": 75}})[-1].startswith("Leave the curriculum out.")


@pytest.mark.parametrize("text", [terminal_text, markdown_text])
def test_every_format_tells_claim_verdict_numbers_and_rule(text):
    runs = evidence(REPORTED, PRESETS)
    found = judge_evidence(runs)
    told = text(found, recommend(runs, found))
    for each in found:
        assert all(words in told for words in (each.claim, each.rule, *each.findings))
        assert each.verdict in told.lower()
    assert "Use fast when" in told


def test_no_results_are_refused(tmp_path):
    with pytest.raises(SettingError, match=r"no results in .* type python -m benchmarks run claims"):
        verdicts(tmp_path)
    with pytest.raises(SettingError, match="no results"):
        recommendations(tmp_path)


def test_the_folders_runs_are_judged_and_damaged_lines_named(tmp_path):
    for seed in SEEDS:
        append("fast-vs-stable", tmp_path, made("fast/preset", seed))
        append("fast-vs-stable", tmp_path, made("stable/preset", seed, rarest=70))
    with results_file("fast-vs-stable", tmp_path).open("a") as file:
        file.write("nonsense\n")
    assert "line 7, is left out" in read_evidence(tmp_path).warning
    assert {each.verdict for each in verdicts(tmp_path)} == {
        NOT_RUN,
        NOT_DECIDABLE,
    }  # the report's settings are missing


def test_the_published_verdicts_are_those_of_the_committed_results(monkeypatch):
    monkeypatch.undo()  # the optimum is solved, or remembered
    for path, text in documents.claim_pages(read_evidence(documents.RESULTS)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: type python -m benchmarks claims --readme"


def test_pages_are_not_written_from_results_of_which_some_are_left_out(tmp_path, monkeypatch):
    append("fast-vs-stable", tmp_path, made("fast/preset", 0))
    with results_file("fast-vs-stable", tmp_path).open("a") as file:
        file.write("nonsense\n")
    monkeypatch.setattr(documents, "RESULTS", tmp_path)
    before = documents.CLAIMS_PAGE.read_bytes()
    with pytest.raises(SettingError, match=r"claims\.md stays as it is"):
        documents.write_claims()
    assert documents.CLAIMS_PAGE.read_bytes() == before


def test_the_pages_marks_name_the_command_that_writes_them():
    page = documents.CLAIMS_PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"written by python -m benchmarks (\w+) --readme", page)) == {"claims"}
