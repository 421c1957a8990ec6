"""Verdicts, findings and recommendations against a second implementation."""

import re

import numpy as np
import pytest

from tests.benchmarks.audit import paired, recomputed, verdicts
from tests.benchmarks.audit.pages import INTERVAL, block, cells, differences, filled
from tests.benchmarks.audit.recomputed import MEASURES, read, welch
from tests.benchmarks.audit.verdicts import UNDECIDED, Claim, claims_of

JUDGES = verdicts.JUDGES | paired.JUDGES
PAGES = ("docs/results/claims.md", "docs/results/questions.md")
CLAIMS = [claim for page in PAGES for claim in claims_of(page)]
MISSING = re.compile(r"There are (\d+) runs of (\S+) of (\S+), of (\d+) that are needed")


def finding_errors(finding: str, expected: list[tuple[str, list[float]]]) -> list[str]:
    """What is wrong in a finding, whose sentence must be an expected one."""
    for sentence, values in expected:
        printed = filled(sentence, finding)
        if printed is not None:
            return [f"{finding}: {error}" for error in differences(printed, values)]
    return [f"{finding}: the sentence is none of {[sentence for sentence, _ in expected]}"]


def without_recomputation(claim: Claim) -> str | None:
    """Why a claim is skipped; None where it is judged a second time."""
    missing = [match for finding in claim.findings if (match := MISSING.search(finding))]
    if missing:
        return f"{claim.key}: {missing[0][0]}"
    if claim.key == "mps" and claim.findings[0].startswith("No size has three runs on mps"):
        return f"{claim.key}: {claim.findings[0]}"
    return None if claim.key in JUDGES else f"{claim.key} ({claim.verdict}) has no second implementation yet"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_findings_and_verdict_follow_from_the_runs(claim):
    if reason := without_recomputation(claim):
        pytest.skip(reason)
    try:
        judgement = JUDGES[claim.key]()
    except paired.NoValueError as missing:
        pytest.skip(f"{claim.key}: {missing}")
    assert claim.verdict == judgement.verdict
    assert claim.level == pytest.approx(judgement.level, abs=5e-5)
    if not judgement.findings:
        pytest.skip(f"{claim.key}: its verdict is right, its findings have no second implementation yet")
    errors = [error for finding in claim.findings for error in finding_errors(finding, judgement.findings)]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize("page", PAGES)
def test_table_of_verdicts_shows_the_details(page):
    lines = [cells(line) for line in block(page, "verdicts").splitlines()[2:]]
    assert lines == [[claim.statement, f"**{claim.verdict}**", claim.findings[0]] for claim in claims_of(page)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_missing_runs_are_missing(claim):
    for finding in claim.findings:
        if match := MISSING.search(finding):
            number, case, benchmark, needed = match.groups()
            assert len(read(benchmark).get(case, [])) == int(number) < int(needed)
            assert claim.verdict in {"not run yet", UNDECIDED}


def presets(label: str) -> dict[str, list[float]]:
    rows = {size: read("fast-vs-stable")[f"{size}/preset"] for size in ("fast", "intermediate", "stable")}
    return {size: recomputed.measured(runs, MEASURES[label]) for size, runs in rows.items()}


def test_recommendations_show_the_means_of_the_presets():
    means = {label: {size: float(np.mean(values)) for size, values in presets(label).items()} for label in (
        "Processor time, min", "Score, %", "Return")}  # fmt: skip
    minutes, score, earned = means.values()
    expected = [
        ("Use fast when 1,000 words and 30 steps are enough, and while you try things out: a training takes {n} "
         "minutes of processor time instead of {n}, and comes {n} points nearer to its optimum.",
         [minutes["fast"], minutes["stable"], score["fast"] - score["stable"]]),
        ("Use stable when messages are 50 words long or what counts is the return of a message: {n} on held-out "
         "problems, where fast has {n}.", [earned["stable"], earned["fast"]]),
        ("Use intermediate when you need 5,000 words but not 50 steps: as near to its optimum as stable in {n} minutes "
         "of processor time instead of {n}.", [minutes["intermediate"], minutes["stable"]]),
    ]  # fmt: skip
    lines = re.findall(r"^- (.*)$", block("docs/results/claims.md", "recommendations"), re.M)
    known = [line for line in lines if re.match("Use (fast|stable|intermediate) when ", line)]
    errors = [error for line in known for error in finding_errors(line, expected)]
    assert not errors, "\n".join(errors)
    if any("as near to its optimum" in line for line in lines):
        scores = presets("Score, %")
        interval = welch(scores["intermediate"], scores["stable"])
        assert interval.low <= 0 <= interval.high or interval.estimate > 0, interval


def test_intervals_of_other_recommendations_are_those_of_findings():
    found = {interval for claim in CLAIMS for finding in claim.findings for interval in re.findall(INTERVAL, finding)}
    lines = re.findall(r"^- (.*)$", block("docs/results/claims.md", "recommendations"), re.M)
    others = [line for line in lines if not re.match("Use (fast|stable|intermediate) when ", line)]
    for line in others:
        assert set(re.findall(INTERVAL, line)) <= found, line
    if unchecked := [line for line in others if not re.search(INTERVAL, line)]:
        pytest.skip(f"recommendations without an interval: {unchecked}")
