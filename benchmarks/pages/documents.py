"""Write the committed results into README and the pages of them, between marks, so that they cannot drift apart."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from agents.runs.json_files import read_json, write_text
from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.judge import bullets, details, judged, verdict_table
from benchmarks.claims.recommendations import advise
from benchmarks.files import RESULTS
from benchmarks.measures.equivalence import equivalence_table
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS, SECTIONS
from benchmarks.measures.results_file import Rows, read_rows
from benchmarks.pages.table import caption, lines, markdown
from benchmarks.published.english import PUBLISHED as PUBLISHED_PARAPHRASES
from benchmarks.published.english import neighbour_table, paraphrase_text
from benchmarks.published.references import published as published_references
from benchmarks.published.references import reference_table
from benchmarks.suite.cases import FAST_VS_STABLE, GENERALISATION, HEADS, REACH, find_benchmark
from token_env.errors import SettingError
from token_env.languages.find import find_language

ROOT = Path(__file__).parents[2]
GENERALISATION_METRICS = (
    "mean_last_100",
    "training_return",
    "test_return",
    "generalisation_gap",
    "score",
    "test_tokens",
)
REACH_METRICS = (
    "training_minutes",
    "mean_last_100",
    "episodes_to_reported",
    "seconds_to_reported",
    "score",
    "test_tokens",
)
README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmark.md"
CLAIMS_PAGE = ROOT / "docs" / "claims.md"
TASK_PAGE, ENGLISH_PAGE = ROOT / "docs" / "task.md", ROOT / "docs" / "english.md"


def blocks(rows: Mapping[str, Rows]) -> dict[Path, dict[str, str]]:
    """What stands between the marks of each page, by mark, from the rows of each benchmark."""
    runs = {name: frame(name, found.good) for name, found in rows.items()}
    headline = [metric for metric in METRICS.values() if metric.headline]
    sizes = find_benchmark(FAST_VS_STABLE)
    return {
        README: {"table": markdown(lines(sizes, runs[FAST_VS_STABLE], headline))},
        TASK_PAGE: {"references": reference_table(published_references(), "synthetic")},
        ENGLISH_PAGE: {
            "references": reference_table(published_references(), "english"),
            "neighbours": neighbour_table(find_language("english", 5000)),
            "paraphrases": paraphrase_text(read_json(PUBLISHED_PARAPHRASES)),
        },
        PAGE: {
            "table": markdown(lines(sizes, runs[FAST_VS_STABLE], with_middle=True)),
            "caption": caption(rows[FAST_VS_STABLE].good),
            "generalisation": _part(GENERALISATION, runs, GENERALISATION_METRICS),
            "caption of generalisation": caption(rows[GENERALISATION].good),
            "reach": _part(REACH, runs, REACH_METRICS),
            "caption of reach": caption(rows[REACH].good),
            "heads": equivalence_table(runs[HEADS]),
            "caption of heads": caption(rows[HEADS].good),
            "definitions": definitions(),
        },
    }


def _part(benchmark: str, runs: Mapping[str, pd.DataFrame], metrics: tuple[str, ...]) -> str:
    """A benchmark's table of these metrics alone."""
    return markdown(lines(find_benchmark(benchmark), runs[benchmark], [METRICS[name] for name in metrics]))


def committed() -> dict[str, Rows]:
    """The rows of the benchmarks whose results are committed.

    Raises:
        SettingError: there are none of one.
    """
    return {name: read_rows(name, RESULTS) for name in (FAST_VS_STABLE, GENERALISATION, REACH, HEADS)}


def definitions() -> str:
    """Every metric and what it measures, as a Markdown table."""
    rows = [["row", "column of `benchmarks.results()`", "definition"], ["---", "---", "---"]]
    for title, metrics in SECTIONS.items():
        rows.append([f"**{title}**", "", ""])
        rows += [[metric.label, f"`{metric.name}`", metric.definition] for metric in metrics]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def rendered(rows: Mapping[str, Rows]) -> dict[Path, str]:
    """README and the page with these results in them, by benchmark.

    Raises:
        SettingError: a page is missing, or its marks are.
    """
    return {path: _filled(path, texts) for path, texts in blocks(rows).items()}


def write_pages() -> list[Path]:
    """Put the committed results into README and the page; which files these are.

    Raises:
        SettingError: no results, or such as are left out: they would be missing from README without a word.
    """
    rows = committed()
    if complaint := "\n".join(found.complaint for found in rows.values() if found.complaint):
        raise SettingError(f"README stays as it is.\n{complaint}")
    return _written(rendered(rows))


def claim_pages(evidence: Evidence) -> dict[Path, str]:
    """README and the claims' page with the verdicts that these runs give.

    Raises:
        SettingError: a page is missing, or its marks are.
    """
    found = judged(evidence)
    advice = bullets(advise(evidence, found))
    in_full = {"verdicts": verdict_table(found), "recommendations": advice, "details": details(found)}
    in_full |= {
        f"runs of {benchmark}": caption(rows) if rows else "None yet."
        for benchmark, rows in evidence.by_benchmark.items()
    }
    texts = {README: {"verdicts": in_full["verdicts"], "recommendations": advice}, CLAIMS_PAGE: in_full}
    return {path: _filled(path, of_page, "claims") for path, of_page in texts.items()}


def write_claims() -> list[Path]:
    """Put the verdicts of the committed results into README and the claims' page; which files these are.

    Raises:
        SettingError: no results, or such as are left out.
    """
    evidence = read_evidence(RESULTS)
    if evidence.complaint:
        raise SettingError(f"README stays as it is.\n{evidence.complaint}")
    return _written(claim_pages(evidence))


def _written(pages: dict[Path, str]) -> list[Path]:
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def _filled(path: Path, texts: dict[str, str], command: str = "table") -> str:
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"cannot read {str(path)!r}: {error.strerror}; work in a checkout of the project."
        ) from error
    for mark, text in texts.items():
        begin, end = f"<!-- {mark}: written by python -m benchmarks {command} --readme -->", f"<!-- end of {mark} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended) or begin in after:
            raise SettingError(f"{path.name} needs one place between the lines {begin} and {end}.")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
