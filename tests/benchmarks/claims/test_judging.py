"""Verdicts combine the parts of a claim, and texts and pages show them with their numbers and rules."""

import re

import pytest

from agents.evaluation.statistics import Interval
from benchmarks.claims.evidence import TooFewRunsError, UndefinedMetricError, read_evidence, size_source
from benchmarks.claims.judge import judge_evidence, markdown_text, recommendations, terminal_text, verdicts
from benchmarks.claims.recommendations import BY_VERDICT, recommend
from benchmarks.claims.verdict import (
    CONTRADICTED,
    NOT_DECIDABLE,
    NOT_RUN,
    SUPPORTED,
    Claim,
    VerdictPart,
    above,
    below,
    combined_verdict,
    within,
)
from benchmarks.measures.figures import mean_last_100
from benchmarks.measures.results_file import append, results_file
from benchmarks.measures.shares import score, validation_score
from benchmarks.pages import documents
from tests.support.benchmarks.claim_runs import CLAIMS, REPORTED, around, evidence, made_up_rows, scores, verdict
from token_env import SettingError

FAST, STABLE = size_source("fast"), size_source("stable")
PRESETS = REPORTED | {f"{size}/preset": {} for size in ("fast", "intermediate", "stable")}


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.3, SUPPORTED),
        (-0.3, -0.1, CONTRADICTED),
        (-0.1, 0.1, NOT_DECIDABLE),
        (float("nan"), float("nan"), NOT_DECIDABLE),
    ],
)
def test_an_interval_decides_where_all_of_it_is_on_one_side(low, high, outcome):
    interval = Interval((low + high) / 2, low, high)
    assert above(interval) == outcome
    assert below(Interval(-interval.estimate, -high, -low)) == outcome
    assert within(interval, 0.0, 1.0) == outcome
    assert within(Interval(1.0 - interval.estimate, 1.0 - high, 1.0 - low), 0.0, 1.0) == outcome
    assert above(Interval(interval.estimate + 5.0, low + 5.0, high + 5.0), 5.0) == outcome
    assert below(Interval(5.0 - interval.estimate, 5.0 - high, 5.0 - low), 5.0) == outcome


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], NOT_DECIDABLE),
        ([None], NOT_DECIDABLE),
        ([SUPPORTED, None], SUPPORTED),
        ([SUPPORTED, NOT_DECIDABLE], NOT_DECIDABLE),
        ([SUPPORTED, NOT_DECIDABLE, CONTRADICTED], CONTRADICTED),
    ],
)
def test_all_deciding_parts_make_a_verdict(outcomes, expected):
    assert combined_verdict(VerdictPart("", outcome) for outcome in outcomes) == expected


def test_tests_of_a_claim_share_an_error_probability_of_5_per_cent():
    levels = []

    def judge(runs):
        """Note the level."""
        levels.append(runs.confidence)
        return [VerdictPart("Shown.")]

    for tests in (1, 2, 4):
        assert Claim("name", "A claim.", judge, tests, "New.").verdict(evidence()).confidence == levels[-1]
    assert levels == pytest.approx([0.95, 0.975, 0.9875])


def test_the_decisive_finding_comes_first():
    def judge(runs):
        """Judge nothing."""
        return [VerdictPart("a", SUPPORTED), VerdictPart("b"), VerdictPart("c", CONTRADICTED)]

    found = Claim("name", "A claim.", judge, 1, "New.").verdict(evidence())
    assert (found.verdict, found.findings, found.rule) == (CONTRADICTED, ("c", "a", "b"), "Judge nothing.")
    assert found.provenance == "Intervals at 95 %. New."


def test_a_claim_with_missing_runs_is_not_run_and_names_the_command():
    found = {each.name: each for each in judge_evidence(evidence(PRESETS))}
    assert {name for name, each in found.items() if each.verdict == NOT_RUN} == {
        "peak_cause", "size_vs_time", "tuning", "planning", "intermediate", "rewards", "curriculum", "masks", "weights",
    }  # fmt: skip
    (sentence,) = found["curriculum"].findings
    assert sentence.endswith("type python -m benchmarks run claims --case fast/curriculum.")


def test_a_claim_whose_metric_is_undefined_is_not_decidable():
    found = verdict("curriculum", PRESETS, {"fast/curriculum": {"score": (50.0, None, 50.0)}})
    assert found.verdict == NOT_DECIDABLE
    assert found.findings == (
        "1 of 3 runs of fast/curriculum of claims have no validation_score: nothing is concluded.",
    )


def test_every_claim_has_a_name_a_rule_a_history_and_a_level():
    found = judge_evidence(evidence(PRESETS))
    assert [each.name for each in found] == list(CLAIMS)
    for each in found:
        assert len(each.rule.split()) > 10
        assert re.match(r"(Written|Rewritten|Split off) .*\.$", each.history)
        assert 0.95 <= each.confidence < 1.0


def test_two_runs_are_too_few():
    two = evidence({"fast/preset": {"seeds": (0, 1)}})
    with pytest.raises(TooFewRunsError, match=r"2 runs of fast/preset of fast-vs-stable, of 3"):
        two.rows(FAST)


def test_a_diverged_run_leaves_a_metric_undefined():
    runs = evidence({"fast/preset": {"diverged": (None, 7, None)}})
    with pytest.raises(
        UndefinedMetricError, match="1 of 3 runs of fast/preset of fast-vs-stable have no mean_last_100"
    ):
        runs.values(FAST, mean_last_100)


def test_runs_are_paired_by_seed_whatever_their_order():
    runs = evidence(
        {"fast/preset": {"score": (3.0, 1.0, 2.0), "seeds": (2, 0, 1)}, "stable/preset": {"score": scores()}}
    )
    assert list(runs.by_seed(FAST, validation_score)) == [0, 1, 2]
    assert runs.paired(FAST, FAST, validation_score) == pytest.approx((0.0, 0.0, 0.0))
    of_both = runs.paired(FAST, STABLE, validation_score)
    assert of_both.estimate == pytest.approx(2.0 - 55.0)
    assert of_both.half_width == pytest.approx(4.3027 * 14.5258 / 3**0.5, rel=1e-4)  # −39, −68, −52


def test_a_pair_may_compare_two_metrics():
    runs = evidence({"fast/preset": {"score": scores(3.0), "test": scores()}})
    assert runs.paired(FAST, FAST, validation_score, score) == pytest.approx((3.0, 3.0, 3.0))


def test_levels_widen_all_intervals():
    runs = evidence({"fast/preset": {"score": around(50.0, 1.0)}, "stable/preset": {"score": around(50.0, 2.0)}})
    for interval in (
        lambda of: of.mean(FAST, validation_score),
        lambda of: of.difference(FAST, STABLE, validation_score),
        lambda of: of.paired(FAST, STABLE, validation_score),
    ):
        assert interval(runs.at(0.99)).half_width > 1.2 * interval(runs).half_width > 0.0


def advice(*layers):
    runs = evidence(REPORTED, *layers)
    return recommend(runs, judge_evidence(runs))


ADVISED = {
    "fast/preset": {"test": 80.0, "minutes": around(0.3, 0.01)},
    "intermediate/preset": {"test": 75.0, "minutes": around(0.8, 0.01)},
    "stable/preset": {"test": 75.0, "minutes": around(2.0, 0.01)},
}


def test_recommendations_follow_from_the_numbers_and_vanish_with_them():
    sentences = advice(ADVISED)
    assert [sentence.partition(" when")[0] for sentence in sentences] == ["Use fast", "Use stable", "Use intermediate"]
    assert "0.3 minutes of processor time instead of 2.0, and comes 5 points nearer to its optimum" in sentences[0]
    slow = {size: {"minutes": 3.0} for size in ("fast/preset", "intermediate/preset")}
    assert advice(ADVISED, slow, {"stable/preset": {"test": 45.0}}) == []


def rates(**by_rate):
    """Runs of fast with Adam, which end at −95 but for the changes."""
    layer = {f"fast/rate-{rate}": {"ends": -95.0} for rate in ("1e-5", "1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2")}
    return layer | {f"fast/rate-{rate.replace('_', '-')}": figures for rate, figures in by_rate.items()}


def recommended_rate(*layers):
    sentences = [sentence for sentence in advice(*layers) if "learning rate" in sentence]
    return sentences[0].partition("take a learning rate of ")[2].partition(" ")[0] if sentences else None


def test_the_best_learning_rate_that_does_not_diverge_is_recommended():
    assert recommended_rate(rates(**{"3e_4": {"ends": 0.5}})) == "3e-4"
    diverging = {"ends": 0.9, "losses": ([1.0], [None], [1.0])}
    assert recommended_rate(rates(**{"3e_4": {"ends": 0.5}, "1e_3": diverging})) == "3e-4"
    assert recommended_rate(rates()) is None
    assert recommended_rate({case: {"losses": [None]} for case in rates()}) is None


def test_the_level_allows_for_the_choice_of_the_best_learning_rate():
    by_chance = {"3e_4": {"ends": around(-89.0, 0.2)}}  # +1 ± 0.5 at 95 %, ± 3.7 at the level of the claim
    assert recommended_rate(rates(**by_chance)) is None
    assert recommended_rate(rates(**{"3e_4": {"ends": around(-85.0, 0.2)}})) == "3e-4"


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"), [(-0.4, 0.5, "128"), (-0.4, 0.7, "256"), (-1.1, 0.9, "256"), (-0.4, 1.1, None)]
)
def test_the_smallest_width_is_recommended_that_is_less_than_a_point_behind(narrow, wide, expected):
    widths = {"128": narrow, "512": wide}
    runs = {f"grid/{units}-units-1000-tokens": {"score": scores(added)} for units, added in widths.items()}
    sentences = [line for line in advice({"fast/preset": {"score": scores()}}, runs) if "hidden units" in line]
    assert [line.partition(" ")[0] for line in sentences] == ([expected] if expected else [])


def test_verdicts_become_recommendations():
    def curriculum(gain):
        return advice({"fast/preset": {"score": scores()}, "fast/curriculum": {"score": scores(gain)}})

    assert curriculum(2.0) == [
        "Train with `--curriculum`. A curriculum changes the score of fast by +2.0 [+2.0, +2.0] points."
    ]
    assert curriculum(0.0)[0].startswith("Leave the curriculum out. A curriculum changes the score of fast by +0.0")
    assert {name for name, _ in BY_VERDICT} <= set(CLAIMS)


@pytest.mark.parametrize("text", [terminal_text, markdown_text])
def test_every_format_has_claim_verdict_numbers_rule_level_and_history(text):
    runs = evidence(REPORTED, ADVISED)
    found = judge_evidence(runs)
    formatted = text(found, recommend(runs, found))
    for each in found:
        assert all(words in formatted for words in (each.claim, each.rule, each.provenance, *each.findings))
        assert each.verdict in formatted.lower()
    assert "Use fast when" in formatted


def test_no_results_are_refused(tmp_path):
    with pytest.raises(SettingError, match=r"no results in .* type python -m benchmarks run claims"):
        verdicts(tmp_path)
    with pytest.raises(SettingError, match="no results"):
        recommendations(tmp_path)


def store(folder, case):
    for row in made_up_rows(case, {}):
        assert append("fast-vs-stable", folder, row)
    with results_file("fast-vs-stable", folder).open("a") as file:
        file.write("nonsense\n")


def test_runs_of_a_folder_are_judged_and_invalid_lines_named(tmp_path):
    store(tmp_path, "fast/preset")
    assert "line 4, is left out" in read_evidence(tmp_path).warning
    found = {each.name: each.verdict for each in verdicts(tmp_path)}
    assert found.pop("lr") == found.pop("mps") == NOT_DECIDABLE
    assert set(found.values()) == {NOT_RUN}


def test_the_published_verdicts_are_those_of_the_committed_results(monkeypatch):
    monkeypatch.undo()  # the optimum is solved, or remembered
    for path, text in documents.claim_pages(read_evidence(documents.RESULTS)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: type python -m benchmarks claims --readme"


def test_pages_are_not_written_from_results_of_which_some_are_left_out(tmp_path, monkeypatch):
    store(tmp_path, "fast/preset")
    monkeypatch.setattr(documents, "RESULTS", tmp_path)
    before = documents.CLAIMS_PAGE.read_bytes()
    with pytest.raises(SettingError, match=r"claims\.md stays as it is"):
        documents.write_claims()
    assert documents.CLAIMS_PAGE.read_bytes() == before


def test_the_pages_marks_name_the_command_that_writes_them():
    page = documents.CLAIMS_PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"written by python -m benchmarks (\w+) --readme", page)) == {"claims"}
