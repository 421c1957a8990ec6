"""Judge the original report's claims and our own open questions, and format verdicts and recommendations."""

from pathlib import Path

from benchmarks.claims.budget_rules import BUDGET_CLAIMS
from benchmarks.claims.curve_rules import CURVE_CLAIMS
from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.open_questions import OPEN_QUESTIONS
from benchmarks.claims.rate_rules import RATE_CLAIM
from benchmarks.claims.recommendations import recommend
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED, ClaimVerdict
from benchmarks.files import RESULTS

__all__ = ["CONTRADICTED", "NOT_DECIDABLE", "NOT_RUN", "SUPPORTED", "ClaimVerdict", "recommendations", "verdicts"]


def verdicts(folder: Path = RESULTS) -> list[ClaimVerdict]:
    """Return a verdict on each claim of the original report, then on each open question.

    Invalid lines of results are left out; `read_evidence(folder).warning` names them.

    Raises:
        SettingError: The folder has no valid results, or a file cannot be read.
    """
    return judge_evidence(read_evidence(folder))


def recommendations(folder: Path = RESULTS) -> list[str]:
    """Return the recommendations that follow from the runs, as sentences.

    Raises:
        SettingError: The folder has no valid results, or a file cannot be read.
    """
    evidence = read_evidence(folder)
    return recommend(evidence, judge_evidence(evidence))


def judge_evidence(evidence: Evidence) -> list[ClaimVerdict]:
    """Return the verdicts on claims and questions that follow from these runs."""
    return [*judge_claims(evidence), *judge_questions(evidence)]


def judge_claims(evidence: Evidence) -> list[ClaimVerdict]:
    """Return the verdicts on the report's claims that follow from these runs."""
    return [claim.verdict(evidence) for claim in (RATE_CLAIM, *CURVE_CLAIMS, *BUDGET_CLAIMS)]


def judge_questions(evidence: Evidence) -> list[ClaimVerdict]:
    """Return the answers to our own questions that follow from these runs."""
    return [question.verdict(evidence) for question in OPEN_QUESTIONS]


def terminal_text(claim_verdicts: list[ClaimVerdict], advice: list[str]) -> str:
    """Format verdicts and recommendations for a terminal."""
    parts = []
    for verdict in claim_verdicts:
        lines = [f"{verdict.name}: {verdict.verdict.upper()}", f"  {verdict.claim}"]
        lines += [f"  - {sentence}" for sentence in verdict.findings]
        parts.append("\n".join([*lines, f"  rule: {verdict.rule}", f"  {verdict.provenance}"]))
    if advice:
        parts.append("\n".join(["recommended:", *(f"  - {sentence}" for sentence in advice)]))
    return "\n\n".join(parts)


def verdict_table(claim_verdicts: list[ClaimVerdict]) -> str:
    """Format verdicts as a Markdown table with a row per claim: the claim, its verdict, and the first finding."""
    rows = [["claim", "verdict", "found"], ["---", "---", "---"]]
    rows += [[verdict.claim, f"**{verdict.verdict}**", verdict.findings[0]] for verdict in claim_verdicts]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def details_text(claim_verdicts: list[ClaimVerdict]) -> str:
    """Format verdicts in Markdown with all findings and rules."""
    parts = []
    for verdict in claim_verdicts:
        lines = [f"### {verdict.name}: {verdict.verdict}", "", verdict.claim, ""]
        lines += [*bullet_list(verdict.findings).split("\n"), "", f"*Rule.* {verdict.rule}", "", verdict.provenance]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def bullet_list(sentences: tuple[str, ...] | list[str]) -> str:
    """Format sentences as a Markdown list; a dash if there are none."""
    return "\n".join(f"- {sentence}" for sentence in sentences) or "—"


def markdown_text(claim_verdicts: list[ClaimVerdict], advice: list[str]) -> str:
    """Format verdicts and recommendations in Markdown."""
    parts = [verdict_table(claim_verdicts), details_text(claim_verdicts), "### Recommended", bullet_list(advice)]
    return "\n\n".join(parts)
