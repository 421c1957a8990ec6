"""Read what the report said: its figures by size and metric, and the returns it gave phase by phase."""

from functools import cache
from importlib import resources
from typing import NamedTuple

import yaml


class Phase(NamedTuple):
    """A stretch of a training, and the range of returns that the report gave for it."""

    first: int  # episode
    last: int
    low: float
    high: float


class Reported(NamedTuple):
    """What the report said, by size."""

    figures: dict[str, dict[str, float | int | str]]  # by metric
    phases: dict[str, list[Phase]]


@cache
def reported() -> Reported:
    """What the report of 2026-02-19 said."""
    read = yaml.safe_load(resources.files(__package__).joinpath("reported.yaml").read_text(encoding="utf-8"))
    phases = {size: [Phase(*phase) for phase in listed] for size, listed in read["phases"].items()}
    return Reported(read["figures"], phases)
