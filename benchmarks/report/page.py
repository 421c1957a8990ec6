"""Render the report page from its templates, with style sheet, script and Plotly included."""

from importlib import resources
from pathlib import Path

import jinja2
import plotly.offline
from markupsafe import Markup

from agents.cli.outputs import make_folder, write_output
from benchmarks.claims.verdict import CONTRADICTED, NOT_DECIDABLE, NOT_RUN, SUPPORTED
from benchmarks.measures.metrics import METRICS
from benchmarks.report.measured import Measured, read_measured
from benchmarks.report.sections import CASE_METRICS, SECTIONS, tiles


def write_report(folder: Path, out: Path) -> str:
    """Write all results in a folder as one HTML page.

    Args:
        folder: Directory of the results files.
        out: HTML file to write.

    Returns:
        A message about refused lines of the results files; empty if there are none.

    Raises:
        SettingError: If there are no results, a results file cannot be read, or the page cannot be written.
    """
    measured = read_measured(folder)
    page = render(measured)
    make_folder(out.parent)
    write_output(out, page.encode())
    return measured.evidence.warning


def render(measured: Measured) -> str:
    """Render the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"figure_text": measured.figure_text, "command": measured.command}
    contents = {
        section.name: section.fill(measured) if section.needs is None or section.needs in measured.frames else None
        for section in SECTIONS
    }
    verdicts = [verdict.verdict for verdict in measured.verdicts]
    return environment.get_template("page.html").render(
        sections=SECTIONS,
        contents=contents,
        tiles=tiles(measured),
        advice=measured.advice,
        tally={
            verdict: verdicts.count(verdict)
            for verdict in (SUPPORTED, CONTRADICTED, NOT_DECIDABLE, NOT_RUN)
            if verdict in verdicts
        },
        case_metrics=[METRICS[name] for name in CASE_METRICS],
        style=_read_asset("page.css"),
        script=_read_asset("page.js"),
        plotly=Markup(plotly.offline.get_plotlyjs()),
    )


def _read_asset(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
