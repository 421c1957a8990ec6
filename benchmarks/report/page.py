"""Write the page: every section from its template, with style, script and Plotly inside."""

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
    """Write the results in a folder as one HTML page.

    Args:
        folder: where the results are.
        out: the file.

    Returns:
        Which lines of the results are left out and why; empty if none is.

    Raises:
        SettingError: no results, or they cannot be read, or the file cannot be written; then nothing is.
    """
    measured = read_measured(folder)
    page = render(measured)
    make_folder(out.parent)
    write_output(out, page.encode())
    return measured.evidence.complaint


def render(measured: Measured) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"told": measured.told, "command": measured.command}
    filled = {
        section.name: section.fill(measured) if section.needs is None or section.needs in measured.frames else None
        for section in SECTIONS
    }
    told = [verdict.verdict for verdict in measured.verdicts]
    return environment.get_template("page.html").render(
        sections=SECTIONS,
        filled=filled,
        tiles=tiles(measured),
        advice=measured.advice,
        tally={word: told.count(word) for word in (SUPPORTED, CONTRADICTED, NOT_DECIDABLE, NOT_RUN) if word in told},
        case_metrics=[METRICS[name] for name in CASE_METRICS],
        style=_own("page.css"),
        script=_own("page.js"),
        plotly=Markup(plotly.offline.get_plotlyjs()),
    )


def _own(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
