"""Find trainings that stand in the tables of two benchmarks: with the same settings and the same seeds."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agents.algorithms.table import without_other_algorithms
from agents.settings.schema import Settings
from benchmarks.measures.row import Row
from benchmarks.suite.cases import find_benchmark

WITHOUT_EFFECT = {"name", "checkpoints", "evaluation"}  # settings that do not change what is learned


class SharedCase(NamedTuple):
    """A case whose trainings are also those of a case of another benchmark."""

    case: str
    other_benchmark: str
    other_case: str
    pairs: list[tuple[Row, Row]]  # runs of the same seed

    def __str__(self) -> str:
        copies = sum((row.started, row.returns) == (other.started, other.returns) for row, other in self.pairs)
        equal = sum(row.returns == other.returns for row, other in self.pairs)
        count = len(self.pairs)
        twice = "the same returns" if equal == count else f"the same returns in {equal} of {count}"
        how = "the same runs" if copies == count else f"trained twice with {twice}"
        return f"{self.case} as {self.other_case} of {self.other_benchmark} ({count} seed{'s' * (count > 1)}, {how})"


def shared_cases(benchmark: str, rows: Mapping[str, Iterable[Row]]) -> list[SharedCase]:
    """Return the cases of a benchmark that other benchmarks have too.

    Args:
        benchmark: Name of the benchmark.
        rows: Results of each benchmark, by name.
    """
    others: dict[str, list[tuple[str, Row]]] = {}
    for name, of_benchmark in rows.items():
        if name != benchmark:
            for row in of_benchmark:
                others.setdefault(_training(name, row), []).append((name, row))
    pairs: dict[tuple[str, str, str], list[tuple[Row, Row]]] = {}
    for row in rows[benchmark]:
        for name, other in others.get(_training(benchmark, row), []):
            pairs.setdefault((row.case, name, other.case), []).append((row, other))
    return [SharedCase(*cases, of_cases) for cases, of_cases in pairs.items()]


def shared_text(benchmark: str, rows: Mapping[str, Iterable[Row]]) -> str:
    """Return a sentence that names the shared cases of a benchmark; empty if there are none."""
    shared = shared_cases(benchmark, rows)
    return f"Also in other tables, with the same settings and seeds: {'; '.join(map(str, shared))}." if shared else ""


def _training(benchmark: str, row: Row) -> str:
    """Return what determines a training, as text: settings with the seed, replaced constants, and the start."""
    constants = find_benchmark(benchmark).find_case(row.case).constants or {}
    start = row.start and row.start.settings
    return json.dumps([_effective(row.settings), constants, start and _effective(start)], sort_keys=True, default=str)


def _effective(settings: Settings) -> dict[str, object]:
    content = without_other_algorithms(settings, settings.algorithm)
    return {name: value for name, value in content.items() if name not in WITHOUT_EFFECT}
