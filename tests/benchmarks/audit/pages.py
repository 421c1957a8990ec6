"""Read the generated blocks of the pages, and compare their numbers with recomputed ones as printed."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks.audit.recomputed import ROOT, Interval

NUMBER = r"[+−-]?\d[\d,]*(?:\.\d+)?"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
ROUNDING = 2e-6  # relative: stored means have 5 decimals, and a mean optimum is above 2.5


class Table(NamedTuple):
    """A table of Markdown: the names of its columns, and the cells of each row by its first cell."""

    columns: list[str]
    rows: dict[str, list[str]]


def block(page: str, name: str) -> str:
    """What a command wrote into a page under a name."""
    found = re.search(rf"<!-- {name}: written by .*? -->\n(.*?)<!-- end of {name} -->", (ROOT / page).read_text(), re.S)
    assert found, f"{page} has no block {name!r}"
    return found[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(page: str, name: str) -> Table:
    """The first table of a block; rows of headings, which have one cell only, are left out."""
    lines = [line for line in block(page, name).splitlines() if line.startswith("|")]
    rows = [cells(line) for line in lines[2:]]
    columns = [cell.replace("**", "") for cell in cells(lines[0])[1:]]
    return Table(columns, {first: others for first, *others in rows if any(others)})


def as_number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def agrees(printed: str, value: float, significant: int | None = None) -> bool:
    """Whether a value is printed so, with as many decimals or so many significant digits."""
    decimals = len(printed.partition(".")[2])
    form = f".{significant}g" if significant else f".{decimals}f"
    slack = ROUNDING * abs(value)
    return as_number(printed) in {float(format(value + step, form)) for step in (-slack, 0, slack)}


def differences(printed: Sequence[str], values: Sequence[float], significant: int | None = None) -> list[str]:
    """Each printed number that is not the recomputed one, with both."""
    if len(printed) != len(values):
        return [f"{len(printed)} numbers {list(printed)} instead of {len(values)}: {list(values)}"]
    pairs = zip(printed, values, strict=True)
    return [f"{text} is printed, {value:.6g} computed" for text, value in pairs if not agrees(text, value, significant)]


def numbers(text: str) -> list[str]:
    return re.findall(NUMBER, text)


def filled(template: str, text: str) -> list[str] | None:
    """Numbers in the places of a template ({i} an interval, {n} a number), or None where a text does not fit it."""
    pattern = re.escape(template).replace(r"\{i\}", f"({INTERVAL})").replace(r"\{n\}", f"({NUMBER})")
    fit = re.fullmatch(pattern, text)
    return None if fit is None else [number for group in fit.groups() for number in numbers(group)]


def flat(*intervals: Interval) -> list[float]:
    return [number for interval in intervals for number in interval]
