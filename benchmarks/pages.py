"""Write the committed results into README and the benchmark's page, between marks, so that they cannot drift apart."""

from pathlib import Path

from agents import run_dir
from benchmarks.cases import FAST_VS_STABLE, find_benchmark
from benchmarks.metrics import METRICS, SECTIONS
from benchmarks.rows import RESULTS, Rows, frame, read_rows
from benchmarks.table import caption, lines, markdown
from token_env.errors import SettingError

ROOT = Path(__file__).parent.parent
README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmark.md"


def blocks(rows: Rows) -> dict[Path, dict[str, str]]:
    """What stands between the marks of each page, by mark."""
    runs, benchmark = frame(FAST_VS_STABLE, rows.good), find_benchmark(FAST_VS_STABLE)
    headline = [metric for metric in METRICS.values() if metric.headline]
    return {
        README: {"table": markdown(lines(benchmark, runs, headline))},
        PAGE: {
            "table": markdown(lines(benchmark, runs, with_middle=True)),
            "caption": caption(rows.good),
            "definitions": definitions(),
        },
    }


def definitions() -> str:
    """Every metric and what it measures, as a Markdown table."""
    rows = [["row", "column of `benchmarks.results()`", "definition"], ["---", "---", "---"]]
    for title, metrics in SECTIONS.items():
        rows.append([f"**{title}**", "", ""])
        rows += [[metric.label, f"`{metric.name}`", metric.definition] for metric in metrics]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def rendered(rows: Rows) -> dict[Path, str]:
    """README and the page with these results in them.

    Raises:
        SettingError: a page is missing, or its marks are.
    """
    return {path: _filled(path, texts) for path, texts in blocks(rows).items()}


def write_pages() -> list[Path]:
    """Put the committed results into README and the page; which files these are.

    Raises:
        SettingError: no results, or such as are left out: they would be missing from README without a word.
    """
    rows = read_rows(FAST_VS_STABLE, RESULTS)
    if rows.complaint:
        raise SettingError(f"README stays as it is.\n{rows.complaint}")
    pages = rendered(rows)
    for path, text in pages.items():
        run_dir.write_text(path, text)
    return list(pages)


def _filled(path: Path, texts: dict[str, str]) -> str:
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"cannot read {str(path)!r}: {error.strerror}; work in a checkout of the project."
        ) from error
    for mark, text in texts.items():
        begin, end = f"<!-- {mark}: written by python -m benchmarks table --readme -->", f"<!-- end of {mark} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended) or begin in after:
            raise SettingError(f"{path.name} needs one place between the lines {begin} and {end}.")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
