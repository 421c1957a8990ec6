"""Gather what was measured, as the page shows it: nothing here runs anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.judge import judged
from benchmarks.claims.recommendations import advise
from benchmarks.claims.verdict import ClaimVerdict
from benchmarks.files import RESULTS
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.series import Runs, by_case
from benchmarks.measures.summary import summarise
from benchmarks.pages.table import NOTHING, cell_text
from benchmarks.suite.cases import FAST_VS_STABLE, find_benchmark


class Measured(NamedTuple):
    """What was measured; benchmarks that were not run have no frame."""

    folder: Path
    evidence: Evidence
    frames: Mapping[str, pd.DataFrame]  # by benchmark: a row a run
    verdicts: list[ClaimVerdict]
    advice: list[str]

    def runs(self, benchmark: str) -> Runs:
        """The rows of every case of a benchmark."""
        return by_case(find_benchmark(benchmark), self.evidence.by_benchmark[benchmark])

    def told(self, metric: str, case: str, benchmark: str = FAST_VS_STABLE) -> str:
        """A figure of a case in words, with its interval; a dash where there are no runs of it."""
        found = self.frames.get(benchmark)
        if found is None or case not in set(found["case"]):
            return NOTHING
        return cell_text(summarise(found[found["case"] == case], METRICS[metric])[case], METRICS[metric])

    def command(self, benchmark: str) -> str:
        """What to type to make the results of a benchmark."""
        elsewhere = f" --results {self.folder}" if self.folder != RESULTS else ""
        return f"python -m benchmarks run {benchmark}{elsewhere}"


def read_measured(folder: Path) -> Measured:
    """All results in a folder.

    Raises:
        SettingError: there are none that the page could show, or a file cannot be read.
    """
    evidence = read_evidence(folder)
    frames = {name: frame(name, rows) for name, rows in evidence.by_benchmark.items() if rows}
    verdicts = judged(evidence)
    return Measured(folder, evidence, frames, verdicts, advise(evidence, verdicts))
