"""Load results as a pandas DataFrame."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files import RESULTS
from benchmarks.measures.metrics import figures_of
from benchmarks.measures.results_file import read_rows
from benchmarks.measures.row import Row
from benchmarks.suite.cases import FAST_VS_STABLE, find_benchmark


def results(benchmark: str = FAST_VS_STABLE, folder: str | Path = RESULTS) -> pd.DataFrame:
    """One row a run, one column a metric, beside case, size, variant, seed and how the run was made.

    Lines that cannot be trusted are left out, each with a warning that names it.

    Raises:
        SettingError: an unknown benchmark, or no results.
    """
    rows = read_rows(benchmark, Path(folder))
    if rows.complaint:
        warnings.warn(rows.complaint, stacklevel=2)
    return frame(benchmark, rows.good)


def frame(benchmark: str, rows: list[Row]) -> pd.DataFrame:
    """One row a run, one column a metric, sorted by the benchmark's order of cases and by seed."""
    cases = {case.name: (place, case) for place, case in enumerate(find_benchmark(benchmark).cases)}
    ordered = sorted(rows, key=lambda row: (cases[row.case][0], row.seed))
    made: list[dict[str, Any]] = [
        {
            "case": row.case,
            "size": cases[row.case][1].size,
            "variant": cases[row.case][1].variant,
            "seed": row.seed,
            "host": row.machine.host,
            "processor": row.machine.processor,
            "revision": row.revision,
            "started": row.started,
        }
        for row in ordered
    ]
    return pd.DataFrame([about | figures_of(row) for about, row in zip(made, ordered, strict=True)])
