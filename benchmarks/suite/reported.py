"""Load the figures of the original report: values by size and metric, and ranges of returns by phase."""

from functools import cache
from importlib import resources
from typing import NamedTuple

import yaml


class Phase(NamedTuple):
    """A phase of a training with the range of returns that the report gives."""

    first: int  # episodes before the phase
    last: int  # episodes until its end
    low: float  # lowest return
    high: float  # highest return


class Reported(NamedTuple):
    """The figures of the original report."""

    figures: dict[str, dict[str, float | int | str]]  # size → metric → value
    phases: dict[str, list[Phase]]  # size → phases in order


@cache
def reported() -> Reported:
    """Load the figures of the report of 2026-02-19."""
    content = yaml.safe_load(resources.files(__package__).joinpath("reported.yaml").read_text(encoding="utf-8"))
    phases = {size: [Phase(*fields) for fields in rows] for size, rows in content["phases"].items()}
    return Reported(content["figures"], phases)
