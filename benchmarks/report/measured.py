"""Load all results that the report page shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from agents.evaluation.formats import NO_VALUE
from benchmarks.claims.evidence import Evidence, read_evidence
from benchmarks.claims.judge import judge_evidence
from benchmarks.claims.recommendations import recommend
from benchmarks.claims.verdict import ClaimVerdict
from benchmarks.files import results_option
from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.series import Runs, by_case
from benchmarks.measures.summary import summarise
from benchmarks.pages.table import cell_text
from benchmarks.suite.cases import FAST_VS_STABLE, find_benchmark


class Measured(NamedTuple):
    """The results in a folder."""

    folder: Path
    evidence: Evidence
    frames: Mapping[str, pd.DataFrame]  # benchmark → one row per run; no entry if it has no results
    verdicts: list[ClaimVerdict]
    advice: list[str]

    def runs(self, benchmark: str) -> Runs:
        """Return the rows of every case of a benchmark."""
        return by_case(find_benchmark(benchmark), self.evidence.by_benchmark[benchmark])

    def figure_text(self, metric: str, case: str, benchmark: str = FAST_VS_STABLE) -> str:
        """Format a metric of a case with its interval; a dash if the case has no runs."""
        runs = self.frames.get(benchmark)
        if runs is None or case not in set(runs["case"]):
            return NO_VALUE
        return cell_text(summarise(runs[runs["case"] == case], METRICS[metric])[case], METRICS[metric])

    def command(self, benchmark: str) -> str:
        """Return the command line that runs a benchmark."""
        return f"python -m benchmarks run {benchmark}{results_option(self.folder)}"


def read_measured(folder: Path) -> Measured:
    """Load all results in a folder.

    Raises:
        SettingError: If there are no results to show, or a file cannot be read.
    """
    evidence = read_evidence(folder)
    frames = {name: frame(name, rows) for name, rows in evidence.by_benchmark.items() if rows}
    verdicts = judge_evidence(evidence)
    return Measured(folder, evidence, frames, verdicts, recommend(evidence, verdicts))
