"""Collect the runs that verdicts are based on, and compute means and differences of their metrics with intervals."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.statistics import CONFIDENCE, Interval, difference_interval, mean_interval, paired_interval
from benchmarks.files import results_option
from benchmarks.measures.figures import Figure, MetricFunction
from benchmarks.measures.results_file import Rows, read_rows_if_any
from benchmarks.measures.row import Row
from benchmarks.suite.cases import CLAIMS, DEVICES, FAST_VS_STABLE, HEADS, LEARNING, PRESET
from benchmarks.suite.claim_cases import PRESET_CELLS, grid_variant
from token_env.errors import SettingError

MIN_RUNS = 3  # the smallest sample for which the coverage of the intervals was measured
SOURCES = (FAST_VS_STABLE, HEADS, LEARNING, DEVICES, CLAIMS)  # benchmarks whose runs are evidence


class Source(NamedTuple):
    """A case of a benchmark, whose runs are the evidence."""

    benchmark: str
    case: str

    def __str__(self) -> str:
        return f"{self.case} of {self.benchmark}"


PLAIN = Source(HEADS, "fast/fast")  # fast's preset with plain logits


def size_source(size: str, variant: str = PRESET) -> Source:
    """Return the case of a size, with our preset or as reported."""
    return Source(FAST_VS_STABLE, f"{size}/{variant}")


def claim_source(case: str) -> Source:
    """Return a case of the claims benchmark."""
    return Source(CLAIMS, case)


def grid_source(units: int, tokens: int) -> Source:
    """Return the case of a cell of the capacity grid; two cells are presets, measured in fast against stable.

    Args:
        units: Units of each hidden layer.
        tokens: Vocabulary size.
    """
    size = PRESET_CELLS.get((units, tokens))
    return size_source(size) if size else claim_source(f"grid/{grid_variant(units, tokens)}")


class TooFewRunsError(Exception):
    """A case has fewer runs than an interval needs."""

    def __init__(self, source: Source, runs: int) -> None:
        super().__init__(
            f"There are {runs} runs of {source}, of {MIN_RUNS} that are needed at least; "
            f"type python -m benchmarks run {source.benchmark} --case {source.case}."
        )


class UndefinedMetricError(Exception):
    """Some runs of a case have no value of a metric, because they diverged or are older than the metric."""

    def __init__(self, source: Source, metric: MetricFunction, missing: int, runs: int) -> None:
        super().__init__(f"{missing} of {runs} runs of {source} have no {metric.__name__}: nothing is concluded.")


class Evidence:
    """The runs that verdicts are based on.

    Args:
        rows: Results file of each benchmark, by the benchmark's name.
        confidence: Confidence level of the intervals.

    Attributes:
        results: These rows.
        confidence: This level.
    """

    def __init__(self, rows: Mapping[str, Rows], confidence: float = CONFIDENCE) -> None:
        self.results, self.confidence = rows, confidence

    def at(self, confidence: float) -> "Evidence":
        """Return the same runs with intervals of another confidence level."""
        return Evidence(self.results, confidence)

    @property
    def by_benchmark(self) -> dict[str, list[Row]]:
        """All valid runs, by benchmark."""
        return {benchmark: rows.accepted for benchmark, rows in self.results.items()}

    @property
    def all_rows(self) -> list[Row]:
        """All valid runs of all benchmarks."""
        return [row for rows in self.results.values() for row in rows.accepted]

    @property
    def warning(self) -> str:
        """Message on the invalid lines that are left out; empty if there are none."""
        return "\n".join(rows.warning for rows in self.results.values() if rows.warning)

    def rows(self, source: Source) -> list[Row]:
        """Return the runs of a case, ordered by seed.

        Raises:
            TooFewRunsError: Fewer than three runs.
        """
        runs = [row for row in self.by_benchmark.get(source.benchmark, []) if row.case == source.case]
        if len(runs) < MIN_RUNS:
            raise TooFewRunsError(source, len(runs))
        return sorted(runs, key=lambda row: row.seed)

    def values(self, source: Source, metric: MetricFunction) -> NDArray[np.float64]:
        """Return a metric of each run of a case, [N] by seed.

        Raises:
            TooFewRunsError: Fewer than three runs.
            UndefinedMetricError: A run has no value.
        """
        return np.array(list(self.by_seed(source, metric).values()))

    def by_seed(self, source: Source, metric: MetricFunction) -> dict[int, float]:
        """Return a metric of each run of a case, by seed.

        Raises:
            TooFewRunsError: Fewer than three runs.
            UndefinedMetricError: A run has no value.
        """
        rows = self.rows(source)
        values = as_array(map(metric, rows))
        if missing := int(np.isnan(values).sum()):
            raise UndefinedMetricError(source, metric, missing, len(rows))
        return {row.seed: float(value) for row, value in zip(rows, values, strict=True)}

    def mean(self, source: Source, metric: MetricFunction) -> Interval:
        """Return the mean of a metric over the runs of a case, with Student's t interval.

        Raises:
            TooFewRunsError: Fewer than three runs.
            UndefinedMetricError: A run has no value.
        """
        return mean_interval(self.values(source, metric), self.confidence)

    def difference(self, first: Source, second: Source, metric: MetricFunction) -> Interval:
        """Return the mean of a metric in the first case minus its mean in the second, with Welch's interval.

        Raises:
            TooFewRunsError: Fewer than three runs of a case.
            UndefinedMetricError: A run has no value.
        """
        return difference_interval(self.values(first, metric), self.values(second, metric), self.confidence)

    def paired(
        self, first: Source, second: Source, metric: MetricFunction, metric_of_second: MetricFunction | None = None
    ) -> Interval:
        """Return the mean difference of a metric between runs of the same seed, with Student's t interval.

        Runs of one size with the same seed are trained on the same problems.

        Args:
            first: Case from whose metric the other is subtracted.
            second: Case that it is compared with.
            metric: Metric of both cases.
            metric_of_second: Metric of the second case, if it is another.

        Raises:
            TooFewRunsError: Fewer than three runs of a case, or fewer than three seeds in both.
            UndefinedMetricError: A run has no value.
        """
        of_first, of_second = self.by_seed(first, metric), self.by_seed(second, metric_of_second or metric)
        seeds = sorted(of_first.keys() & of_second.keys())
        if len(seeds) < MIN_RUNS:
            raise TooFewRunsError(first, len(seeds))
        return paired_interval([of_first[seed] for seed in seeds], [of_second[seed] for seed in seeds], self.confidence)


def read_evidence(folder: Path) -> Evidence:
    """Read the runs that verdicts are based on from a folder of results.

    Raises:
        SettingError: The folder has no valid runs of these benchmarks, or a file cannot be read.
    """
    evidence = Evidence({name: read_rows_if_any(name, folder) for name in SOURCES})
    if not evidence.all_rows:
        if evidence.warning:
            raise SettingError(evidence.warning)
        option = results_option(folder)
        raise SettingError(
            f"there are no results in {str(folder)!r} that claims can be tested with; "
            f"type python -m benchmarks run {CLAIMS}{option}, then the same for {FAST_VS_STABLE} and {HEADS}."
        )
    return evidence


def as_array(figures: Iterable[Figure]) -> NDArray[np.float64]:
    """Return metric values as an array [N], NaN for None."""
    return np.array([np.nan if figure is None else float(figure) for figure in figures])
