"""Define the sections of the report page: each is a template of the same name with a function for its content."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.measures.metrics import METRICS
from benchmarks.measures.metrics import SECTIONS as METRIC_SECTIONS
from benchmarks.pages.table import VARIANTS, caption, table_text, without_empty_columns
from benchmarks.published import coverage
from benchmarks.report import bars, curves, distributions, studies
from benchmarks.report.measured import Measured
from benchmarks.report.messages import read_messages
from benchmarks.suite.cases import CLAIMS, FAST_VS_STABLE, PRESET, find_benchmark

Content = Mapping[str, Any]


class Section(NamedTuple):
    """A section of the page."""

    name: str  # name of the template, and HTML anchor
    title: str
    short: str  # title in the navigation
    needs: str | None  # benchmark whose results are required; None: always shown
    fill: Callable[[Measured], Content | None]  # returns template variables; None: the results lack the cases


def _claims(measured: Measured) -> Content:
    return {"verdicts": measured.verdicts, "cases": _cases(measured)}


def _cases(measured: Measured) -> list[tuple[str, list[str]]]:
    """Return the name and formatted metrics of every case of the claims benchmark."""
    runs = measured.frames.get(CLAIMS)
    names = [] if runs is None else list(runs["case"].unique())
    return [(name, [measured.figure_text(metric, name, CLAIMS) for metric in CASE_METRICS]) for name in names]


CASE_METRICS = ("score", "mean_last_100", "training_minutes", "test_tokens")


def _table(measured: Measured) -> Content:
    table = without_empty_columns(table_text(find_benchmark(FAST_VS_STABLE), measured.frames[FAST_VS_STABLE]))
    metrics = {
        title: {metric.label: metric for metric in members if metric.label in {row[0] for row in table.sections[title]}}
        for title, members in METRIC_SECTIONS.items()
        if title in table.sections
    }
    return {"table": table, "metrics": metrics, "variants": VARIANTS}


def _learning(measured: Measured) -> Content:
    runs = measured.runs(FAST_VS_STABLE)
    return {"learning": curves.learning_curves(runs), "loss": curves.loss_curves(runs)}


def _rates(measured: Measured) -> Content | None:
    drawing = studies.learning_rates(measured.evidence.all_rows)
    return drawing and {"rates": drawing}


def _capacity(measured: Measured) -> Content | None:
    drawing = studies.capacity_map(measured.evidence.all_rows)
    return drawing and {"capacity": drawing}


def _rarity(measured: Measured) -> Content:
    return {"rarity": bars.rarity(measured.runs(FAST_VS_STABLE))}


def _tokens(measured: Measured) -> Content:
    return {"tokens": curves.token_curves(measured.runs(FAST_VS_STABLE))}


def _returns(measured: Measured) -> Content:
    runs = measured.runs(FAST_VS_STABLE)
    return {"tenths": distributions.returns_by_tenth(runs), "last": distributions.last_returns(runs)}


def _speed(measured: Measured) -> Content:
    runs = measured.runs(FAST_VS_STABLE)
    return {
        "speed": bars.speed(runs, measured.frames[FAST_VS_STABLE]),
        "time": bars.time_and_score(measured.evidence.all_rows),
    }


def _messages(measured: Measured) -> Content:
    return {"messages": read_messages(measured.folder)}


def _definitions(measured: Measured) -> Content:  # noqa: ARG001 (all sections have the same signature)
    return {"sections": METRIC_SECTIONS}


def _made(measured: Measured) -> Content:
    captions = {find_benchmark(name).title: caption(measured.evidence.by_benchmark[name]) for name in measured.frames}
    return {
        "captions": captions,
        "coverage": coverage.coverage_cells(coverage.published()),
        "left_out": measured.evidence.warning,
    }


SECTIONS = (
    Section("claims", "The report's claims, tested", "Claims", None, _claims),
    Section("table", "Fast against stable, figure by figure", "Table", FAST_VS_STABLE, _table),
    Section("learning", "Learning and loss", "Learning", FAST_VS_STABLE, _learning),
    Section("rates", "Which learning rate", "Rates", CLAIMS, _rates),
    Section("capacity", "Capacity: hidden units and vocabulary", "Capacity", CLAIMS, _capacity),
    Section("rarity", "Rare words", "Rarity", FAST_VS_STABLE, _rarity),
    Section("tokens", "How many tokens are used", "Tokens", FAST_VS_STABLE, _tokens),
    Section("returns", "How returns are distributed", "Returns", FAST_VS_STABLE, _returns),
    Section("speed", "Speed, and what time buys", "Speed", FAST_VS_STABLE, _speed),
    Section("messages", "What agents say, in words", "Messages", None, _messages),
    Section("definitions", "Definitions", "Definitions", None, _definitions),
    Section("made", "How this was made", "Method", None, _made),
)
TILES = {  # metric → label, shown for the three sizes at the top of the page
    "test_return": "return on test problems",
    "optimum": "optimum of these problems",
    "training_minutes": "training time, minutes",
    "test_tokens": "different tokens said",
    "adequacy_rarest": "adequacy on the rarest words, %",
    "vocab_size": "tokens to choose from",
    "max_steps": "steps of an episode",
    "hidden": "hidden units",
}


def tiles(measured: Measured) -> list[dict[str, Any]]:
    """Return the headline figures of each size, with our presets."""
    runs = measured.frames.get(FAST_VS_STABLE)
    presets: list[str] = [] if runs is None else list(runs.loc[runs["variant"] == PRESET, "case"].unique())
    return [
        {
            "size": case.partition("/")[0],
            "score": measured.figure_text("score", case),
            "minutes": measured.figure_text("training_minutes", case).partition(" ")[0],
            "figures": [
                (label, measured.figure_text(metric, case), METRICS[metric]) for metric, label in TILES.items()
            ],
        }
        for case in presets
    ]
