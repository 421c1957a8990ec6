"""Test the report's claims and answer questions of our own: a verdict each, and what to use when."""

from pathlib import Path

from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.on_budgets import BUDGET_CLAIMS
from benchmarks.claims.on_curves import CURVE_CLAIMS
from benchmarks.claims.open_questions import OPEN_QUESTIONS
from benchmarks.claims.recommendations import advise
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED, ClaimVerdict
from benchmarks.files import RESULTS

__all__ = ["CONTRADICTED", "NOT_DECIDABLE", "NOT_RUN", "SUPPORTED", "ClaimVerdict", "recommendations", "verdicts"]


def verdicts(folder: Path = RESULTS) -> list[ClaimVerdict]:
    """A verdict on each claim of the report, then on each question of our own.

    Lines of results that cannot be trusted are left out; `read_evidence(folder).complaint` names them.

    Raises:
        SettingError: no results, or a file that cannot be read.
    """
    return judged(read_evidence(folder))


def recommendations(folder: Path = RESULTS) -> list[str]:
    """What to use when, in sentences that follow from the runs.

    Raises:
        SettingError: no results, or a file that cannot be read.
    """
    evidence = read_evidence(folder)
    return advise(evidence, judged(evidence))


def judged(evidence: Evidence) -> list[ClaimVerdict]:
    """The verdicts of these runs."""
    return [claim.verdict(evidence) for claim in (*CURVE_CLAIMS, *BUDGET_CLAIMS, *OPEN_QUESTIONS)]


def terminal_text(found: list[ClaimVerdict], advice: list[str]) -> str:
    """Verdicts and recommendations for a terminal."""
    parts = []
    for verdict in found:
        lines = [f"{verdict.name}: {verdict.verdict.upper()}", f"  {verdict.claim}"]
        parts.append("\n".join([*lines, *(f"  - {sentence}" for sentence in verdict.found), f"  rule: {verdict.rule}"]))
    if advice:
        parts.append("\n".join(["recommended:", *(f"  - {sentence}" for sentence in advice)]))
    return "\n\n".join(parts)


def verdict_table(found: list[ClaimVerdict]) -> str:
    """A Markdown table: a row a claim, with its verdict and the first of what was found."""
    rows = [["claim", "verdict", "found"], ["---", "---", "---"]]
    rows += [[verdict.claim, f"**{verdict.verdict}**", verdict.found[0]] for verdict in found]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def details(found: list[ClaimVerdict]) -> str:
    """Everything that was found, and by which rule, in Markdown."""
    parts = []
    for verdict in found:
        lines = [f"### {verdict.name}: {verdict.verdict}", "", verdict.claim, ""]
        parts.append("\n".join([*lines, *bullets(verdict.found).split("\n"), "", f"*Rule.* {verdict.rule}"]))
    return "\n\n".join(parts)


def bullets(sentences: tuple[str, ...] | list[str]) -> str:
    """Sentences as a Markdown list; a dash where there are none."""
    return "\n".join(f"- {sentence}" for sentence in sentences) or "—"


def markdown_text(found: list[ClaimVerdict], advice: list[str]) -> str:
    """Verdicts and recommendations in Markdown."""
    return "\n\n".join([verdict_table(found), details(found), "### Recommended", bullets(advice)])
