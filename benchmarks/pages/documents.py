"""Write the committed results between the marks of README and the pages of docs/."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from agents.runs.json_files import read_json, write_text
from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.judge import bullet_list, details_text, judge_claims, judge_questions, verdict_table
from benchmarks.claims.recommendations import recommend
from benchmarks.claims.verdict import ClaimVerdict
from benchmarks.files import RESULTS
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS, SECTIONS
from benchmarks.measures.results_file import Rows, read_rows, read_rows_if_any
from benchmarks.measures.row import Row
from benchmarks.measures.shared_runs import shared_text
from benchmarks.measures.unlike_arms import published as published_unlike_sides
from benchmarks.measures.unlike_arms import unlike_table
from benchmarks.pages.equivalence import equivalence_table
from benchmarks.pages.learning import learning_blocks
from benchmarks.pages.learning_picture import learning_picture
from benchmarks.pages.overview import overview_note, overview_table
from benchmarks.pages.plots import image
from benchmarks.pages.rates import rates_table
from benchmarks.pages.table import caption, markdown_table, table_text
from benchmarks.published.coverage import coverage_table
from benchmarks.published.coverage import published as published_coverage
from benchmarks.published.english import PUBLISHED as PUBLISHED_PARAPHRASES
from benchmarks.published.english import neighbour_table, paraphrase_text
from benchmarks.published.references import published as published_references
from benchmarks.published.references import reference_table
from benchmarks.suite.cases import CLAIMS, FAST_VS_STABLE, GENERALISATION, HEADS, LEARNING, REACH, find_benchmark
from token_env.errors import SettingError
from token_env.files import write_bytes
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
    "cpu_minutes",
    "mean_last_100",
    "episodes_to_reported",
    "seconds_to_reported",
    "score",
    "test_tokens",
)
TABLES = (FAST_VS_STABLE, GENERALISATION, REACH, HEADS)  # benchmarks with a table on PAGE
README, PAGE = ROOT / "README.md", ROOT / "docs" / "results" / "benchmark.md"
CLAIMS_PAGE, QUESTIONS_PAGE = ROOT / "docs" / "results" / "claims.md", ROOT / "docs" / "results" / "questions.md"
LEARNING_PAGE, LEARNING_IMAGE = ROOT / "docs" / "results" / "learning.md", ROOT / "docs" / "images" / "learning"
TASK_PAGE, ENGLISH_PAGE = ROOT / "docs" / "reference" / "task.md", ROOT / "docs" / "reference" / "english.md"
STATISTICS_PAGE = ROOT / "docs" / "results" / "statistics.md"


def blocks(rows: Mapping[str, Rows]) -> dict[Path, dict[str, str]]:
    """Build the generated text of each page, by page and mark.

    Args:
        rows: Results of each benchmark, by name.
    """
    accepted = {name: content.accepted for name, content in rows.items()}
    runs = {name: frame(name, accepted[name]) for name in TABLES}
    sizes = find_benchmark(FAST_VS_STABLE)
    overview = overview_table(runs[FAST_VS_STABLE], runs[REACH])
    return {
        README: {"table": f"{overview}\n\n{overview_note(rows[FAST_VS_STABLE].accepted)}"},
        TASK_PAGE: {"references": reference_table(published_references(), "synthetic")},
        ENGLISH_PAGE: {
            "references": reference_table(published_references(), "english"),
            "neighbours": neighbour_table(find_language("english", 5000)),
            "paraphrases": paraphrase_text(read_json(PUBLISHED_PARAPHRASES)),
        },
        STATISTICS_PAGE: {
            "coverage": coverage_table(published_coverage()),
            "unlike sides": unlike_table(published_unlike_sides()),
        },
        PAGE: {
            "table": markdown_table(table_text(sizes, runs[FAST_VS_STABLE], with_iqm=True)),
            "caption": _caption_of(FAST_VS_STABLE, accepted),
            "generalisation": _table_of(GENERALISATION, runs, GENERALISATION_METRICS),
            "caption of generalisation": _caption_of(GENERALISATION, accepted),
            "reach": _table_of(REACH, runs, REACH_METRICS),
            "caption of reach": _caption_of(REACH, accepted),
            "heads": equivalence_table(runs[HEADS]),
            "caption of heads": _caption_of(HEADS, accepted),
            "definitions": definitions(),
        },
    }


def _table_of(benchmark: str, runs: Mapping[str, pd.DataFrame], metrics: tuple[str, ...]) -> str:
    """Format some metrics of a benchmark as a Markdown table."""
    return markdown_table(table_text(find_benchmark(benchmark), runs[benchmark], [METRICS[name] for name in metrics]))


def _caption_of(benchmark: str, rows: Mapping[str, list[Row]]) -> str:
    """Describe how the results of a benchmark were made, and which of its runs other benchmarks have too."""
    return f"{caption(rows[benchmark])} {shared_text(benchmark, rows)}".strip()


def committed_rows() -> dict[str, Rows]:
    """Read the committed results of the benchmarks shown in README and on PAGE, and of those that share runs.

    Raises:
        SettingError: If a benchmark that is shown has no results.
    """
    shown = {name: read_rows(name, RESULTS) for name in TABLES}
    return shown | {name: read_rows_if_any(name, RESULTS) for name in (CLAIMS, LEARNING)}


def definitions() -> str:
    """Format the definitions of all metrics as a Markdown table."""
    rows = [["row", "column of `benchmarks.results()`", "definition"], ["---", "---", "---"]]
    for title, metrics in SECTIONS.items():
        rows.append([f"**{title}**", "", ""])
        rows += [[metric.label, f"`{metric.name}`", metric.definition] for metric in metrics]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def render_pages(rows: Mapping[str, Rows]) -> dict[Path, str]:
    """Return the new content of README and the pages, by path.

    Args:
        rows: Results of each benchmark, by name.

    Raises:
        SettingError: If a page or one of its marks is missing.
    """
    return {path: _fill(path, texts) for path, texts in blocks(rows).items()}


def write_pages() -> list[Path]:
    """Write the committed results into README and the pages; return the paths of the written files.

    Raises:
        SettingError: If a benchmark has no results, or a line of the results files is refused.
    """
    rows = committed_rows()
    _require_publishable(README, rows.values())
    return _write(render_pages(rows))


def claim_pages(evidence: Evidence) -> dict[Path, str]:
    """Return the new content of the pages of claims and questions with the verdicts of these runs, by path.

    Raises:
        SettingError: If a page or one of its marks is missing.
    """
    on_claims, on_questions = judge_claims(evidence), judge_questions(evidence)
    advice = bullet_list(recommend(evidence, [*on_claims, *on_questions]))
    rows = {benchmark: evidence.by_benchmark.get(benchmark) for benchmark in (CLAIMS, FAST_VS_STABLE, HEADS)}
    captions = {f"runs of {name}": caption(of_name) if of_name else "None yet." for name, of_name in rows.items()}
    of_claims = _verdict_blocks(on_claims) | {"recommendations": advice, "rates": rates_table(evidence)} | captions
    return {
        CLAIMS_PAGE: _fill(CLAIMS_PAGE, of_claims, "claims"),
        QUESTIONS_PAGE: _fill(QUESTIONS_PAGE, _verdict_blocks(on_questions), "claims"),
    }


def _verdict_blocks(verdicts: list[ClaimVerdict]) -> dict[str, str]:
    return {"verdicts": verdict_table(verdicts), "details": details_text(verdicts)}


def write_claims() -> list[Path]:
    """Write the verdicts of the committed results into the pages of claims and questions; return their paths.

    Raises:
        SettingError: If there are no results, or a line of the results files is refused.
    """
    evidence = read_evidence(RESULTS)
    _require_publishable(CLAIMS_PAGE, evidence.results.values())
    return _write(claim_pages(evidence))


def learning_pages(rows: Rows) -> dict[Path, str]:
    """Return the new content of the page on learning, by path; its tables have the cases that have been run.

    Raises:
        SettingError: If the page or one of its marks is missing.
    """
    return {LEARNING_PAGE: _fill(LEARNING_PAGE, learning_blocks(rows.accepted), LEARNING)}


def write_learning() -> list[Path]:
    """Write the committed results into the page on learning and draw its picture; return the paths of these files.

    Raises:
        SettingError: If a line of the results file is refused, or the page or one of its marks is missing.
    """
    rows = read_rows_if_any(LEARNING, RESULTS)
    _require_publishable(LEARNING_PAGE, [rows])
    paths = _write(learning_pages(rows))
    if figure := learning_picture(rows.accepted):
        for kind in ("png", "svg"):
            path = LEARNING_IMAGE.with_suffix(f".{kind}")
            write_bytes(path, image(figure, kind))
            paths.append(path)
    return paths


def _require_publishable(page: Path, results: Collection[Rows]) -> None:
    """Reject results with lines that are left out, and runs whose code no revision names."""
    messages = [rows.warning for rows in results if rows.warning]
    messages += [
        f"{rows.path} has runs of uncommitted code: {', '.join(dirty)}. Remove their lines, commit the code and type "
        f"python -m benchmarks run {rows.path.stem}."
        for rows in results
        if (dirty := [f"{row.case} seed {row.seed}" for row in rows.accepted if row.is_dirty])
    ]
    if messages:
        raise SettingError("\n".join([f"{page.name} stays as it is.", *messages]))


def _write(pages: dict[Path, str]) -> list[Path]:
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def _fill(path: Path, texts: dict[str, str], command: str = "table") -> str:
    """Return the content of a page with new texts between its marks."""
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"cannot read {str(path)!r}: {error.strerror}; work in a checkout of the project."
        ) from error
    for mark, text in texts.items():
        begin, end = f"<!-- {mark}: written by python -m benchmarks {command} --readme -->", f"<!-- end of {mark} -->"
        before, begin_mark, rest = page.partition(begin)
        _, end_mark, after = rest.partition(end)
        if not (begin_mark and end_mark) or begin in after:
            raise SettingError(f"{path.name} needs the lines {begin} and {end} exactly once, in this order.")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
