"""Gather the runs that verdicts rest on, and tell how far cases differ in a figure."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.statistics import Interval, difference_interval, mean_interval
from benchmarks.files import RESULTS
from benchmarks.measures.figures import Figure, Of
from benchmarks.measures.results_file import Rows, read_rows_if_any
from benchmarks.measures.row import Row
from benchmarks.suite.cases import CLAIMS, FAST_VS_STABLE, HEADS, PRESET
from benchmarks.suite.claim_cases import MEASURED, grid_variant
from token_env.errors import SettingError

LEAST_RUNS = 3  # the fewest of which the coverage of an interval is known


class Source(NamedTuple):
    """Where the runs of a case are kept."""

    benchmark: str
    case: str

    def __str__(self) -> str:
        return f"{self.case} of {self.benchmark}"


PLAIN = Source(HEADS, "fast/fast")  # fast's preset with plain logits


def sized(size: str, variant: str = PRESET) -> Source:
    """The runs of a size, with our preset or as reported."""
    return Source(FAST_VS_STABLE, f"{size}/{variant}")


def claimed(case: str) -> Source:
    """The runs of a case that was declared for the claims."""
    return Source(CLAIMS, case)


def cell(units: int, tokens: int) -> Source:
    """The runs of a cell of the capacity grid: two of them are presets."""
    size = MEASURED.get((units, tokens))
    return sized(size) if size else claimed(f"grid/{grid_variant(units, tokens)}")


class TooFewRunsError(Exception):
    """There are fewer runs of a case than an interval needs."""

    def __init__(self, source: Source, runs: int) -> None:
        super().__init__(
            f"There are {runs} runs of {source}, of {LEAST_RUNS} that are needed at least; "
            f"type python -m benchmarks run {source.benchmark} --case {source.case}."
        )


class Evidence:
    """The runs that verdicts rest on.

    Args:
        rows: what the results of each benchmark hold.
    """

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self._read = rows

    @property
    def by_benchmark(self) -> dict[str, list[Row]]:
        """Every run that can be trusted, by its benchmark."""
        return {benchmark: rows.good for benchmark, rows in self._read.items()}

    @property
    def all_rows(self) -> list[Row]:
        """Every run that can be trusted."""
        return [row for rows in self._read.values() for row in rows.good]

    @property
    def complaint(self) -> str:
        """Which lines are left out and why; empty if none is."""
        return "\n".join(rows.complaint for rows in self._read.values() if rows.complaint)

    def rows(self, source: Source) -> list[Row]:
        """The runs of a case, by seed.

        Raises:
            TooFewRunsError: fewer than three.
        """
        found = [row for row in self.by_benchmark.get(source.benchmark, []) if row.case == source.case]
        if len(found) < LEAST_RUNS:
            raise TooFewRunsError(source, len(found))
        return sorted(found, key=lambda row: row.seed)

    def values(self, source: Source, figure: Of) -> NDArray[np.float64]:
        """A figure of every run of a case, NaN where a run has none."""
        return numbers(figure(row) for row in self.rows(source))

    def mean(self, source: Source, figure: Of) -> Interval:
        """Its mean over the runs, with Student's t interval."""
        return mean_interval(self.values(source, figure))

    def difference(self, first: Source, second: Source, figure: Of) -> Interval:
        """Its mean in the first case less that in the second, with Welch's interval."""
        return difference_interval(self.values(first, figure), self.values(second, figure))


def read_evidence(folder: Path) -> Evidence:
    """The runs in a folder of results.

    Raises:
        SettingError: none of any benchmark that verdicts rest on, or a file that cannot be read.
    """
    evidence = Evidence({name: read_rows_if_any(name, folder) for name in (FAST_VS_STABLE, HEADS, CLAIMS)})
    if not evidence.all_rows:
        if evidence.complaint:
            raise SettingError(evidence.complaint)
        there = "" if folder == RESULTS else f" --results {folder}"
        raise SettingError(
            f"there are no results in {str(folder)!r} that claims can be tested with; "
            f"type python -m benchmarks run {CLAIMS}{there}, and the same of {FAST_VS_STABLE} and {HEADS}."
        )
    return evidence


def numbers(figures: Iterable[Figure]) -> NDArray[np.float64]:
    """Figures as an array, NaN for None."""
    return np.array([np.nan if figure is None else float(figure) for figure in figures])
