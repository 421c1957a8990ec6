"""Typed figures of README and docs/ come from a committed file by a command, or name machine, date and command.

A figure is a number with three significant digits or more. It may stand in a generated block, in code, in a table of
settings, or in a passage that says where it comes from: in its text or in a comment `<!-- figures: … -->` on it.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]

NOT_FIGURES = [
    re.compile(pattern, re.DOTALL | re.MULTILINE)
    for pattern in (
        r"<!-- (?P<block>[^:>]+): written by [^>]*-->.*?<!-- end of (?P=block) -->",  # generated blocks
        r"^```.*?^```",
        r"`[^`]+`",
        r"\]\([^)]*\)",  # targets of links
        r"<!--.*?-->",
        r"^\|[^\n]*\b(?:keyword|settings?) *\|[^\n]*\n\|[-:| ]+\n(?:\|[^\n]*\n)*",  # tables of settings
        r"\b(?:19|20)\d{2}\b",  # years, also those of dates
        r"\b\d+\.\d+\.\d+\S*",  # versions
        r"\b(?:JAX|Minari|Python|RLlib|torch|torchrl|WordNet) \d+\.\d+",
    )
]
NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z]-)\d+(?:,\d{3})*(?:\.\d+)?")
# A paragraph or list, with the tables that follow it.
PASSAGE = re.compile(r"(?:^.*\S.*\n?)+(?:\n*(?:^\|.*\n?)+)*", re.MULTILINE)
UNMEASURED = re.compile(r"<!-- figures: (?:definition|settings)\b")
COMMAND = re.compile(r"python -m \w+")
MACHINE, DATE = re.compile(r"\b(?:AMD|Apple|ARM|Intel|NVIDIA)\b"), re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
RESULTS = re.compile(r"benchmarks/results/[\w.-]+\w")
ADVICE = (
    "Delete each of these figures, let a command write it (<!-- NAME: written by COMMAND --> … <!-- end of NAME -->),\n"
    "or name in its paragraph, or in a comment <!-- figures: … --> on it, the command (python -m …) with machine and\n"
    "date or with its file in benchmarks/results. Mark numbers that nobody measured with <!-- figures: definition -->\n"
    "or <!-- figures: settings -->."
)


def blanked(text):
    """Return the text with spaces for all that cannot be a typed figure, the rest at its place."""
    for pattern in NOT_FIGURES:
        text = pattern.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
    return text


def significant_digits(number):
    digits = number.replace(",", "")
    return len(digits.replace(".", "").lstrip("0")) if "." in digits else len(digits.strip("0"))


def has_origin(passage):
    is_committed = any((ROOT / path).is_file() for path in RESULTS.findall(passage))
    is_dated = MACHINE.search(passage) and DATE.search(passage)
    return UNMEASURED.search(passage) or (COMMAND.search(passage) and (is_committed or is_dated))


def typed_figures(page):
    """List line and number of each figure of a page, a Markdown text, whose passage does not name its origin."""
    text = blanked(page)
    return [
        (page.count("\n", 0, passage.start() + number.start()) + 1, number[0])
        for passage in PASSAGE.finditer(page)
        if not has_origin(passage[0])
        for number in NUMBER.finditer(text[passage.start() : passage.end()])
        if significant_digits(number[0]) >= 3
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_typed_figure_names_its_origin(page):
    figures = typed_figures((ROOT / page).read_text(encoding="utf-8"))
    assert not figures, "\n".join([*(f"{page}:{line}: {figure}" for line, figure in figures), ADVICE])


FIGURE = "The score is 0.831.\n"
RECORDED = "`python -m benchmarks speed`, AMD EPYC, 2026-11-27: "
TABLE = "\n| seed | score |\n|---|---|\n| 0 | 0.831 |\n"


@pytest.mark.parametrize(
    ("page", "figures"),
    [
        (f"# Title\n\n{FIGURE}", [(3, "0.831")]),
        ("From −1,655 to +2.40 in 128–512 units\n", [(1, "1,655"), (1, "2.40"), (1, "128"), (1, "512")]),
        (f"Recorded.{TABLE}", [(4, "0.831")]),
        (f"{RECORDED}\n\n{FIGURE}", [(3, "0.831")]),  # the origin of another paragraph
        (f"Measured by `python -m benchmarks speed` on an AMD EPYC. {FIGURE}", [(1, "0.831")]),
        (f"`python -m benchmarks speed`, 2026-11-27: {FIGURE}", [(1, "0.831")]),
        (f"On an AMD EPYC, 2026-11-27. {FIGURE}", [(1, "0.831")]),
        (f"`python -m benchmarks speed`, benchmarks/results/missing.csv: {FIGURE}", [(1, "0.831")]),
        (f"<!-- a: written by c -->\n{FIGURE}<!-- end of b -->\n", [(2, "0.831")]),
        ("## 100 seeds in 60,000 steps, 0.05 and 4e-3\n\n5,000 tokens, 87 %\n", []),
    ],
)
def test_a_figure_without_origin_is_found(page, figures):
    assert typed_figures(page) == figures


@pytest.mark.parametrize(
    "page",
    [
        RECORDED + FIGURE,
        f"{RECORDED}\n{TABLE}{TABLE}",
        f"<!-- figures: AMD EPYC, 2026-11-27, python -m benchmarks speed -->\n{FIGURE}",
        f"`python -m benchmarks coverage`, benchmarks/results/coverage.csv: {FIGURE}",
        "<!-- figures: definition -->\nProblems 0 to 499.\n",
        "| name | settings |\n|---|---|\n| 0 | 256 units |\n",
        f"<!-- a: written by c -->\n{FIGURE}<!-- end of a -->\n",
        f"```text\n`{FIGURE}```\n",
        "`0.831`, [page](831.md), <!-- 831 --> 2026-11-27, in 2006, torch 2.13, SB3 2.13.0, H200, SHA-256\n",
    ],
)
def test_a_figure_with_an_origin_may_stand(page):
    assert typed_figures(page) == []
