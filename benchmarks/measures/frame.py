"""Load results as a pandas DataFrame."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.files import RESULTS
from benchmarks.measures.metrics import figures_of
from benchmarks.measures.results_file import read_rows
from benchmarks.measures.row import Row
from benchmarks.suite.cases import FAST_VS_STABLE, find_benchmark


def results(benchmark: str = FAST_VS_STABLE, folder: str | Path = RESULTS) -> pd.DataFrame:
    """Return the results of a benchmark with one row per run and one column per metric.

    Further columns are case, size, variant, seed, host, processor, revision, start time, and `diverged`: the number of
    episodes after which a training diverged, NaN for all others. Invalid lines of the results file are left out with a
    warning.

    Args:
        benchmark: Name of the benchmark.
        folder: Directory of the results files.

    Raises:
        SettingError: If the benchmark is unknown or has no results.
    """
    rows = read_rows(benchmark, Path(folder))
    if rows.warning:
        warnings.warn(rows.warning, stacklevel=2)
    return frame(benchmark, rows.accepted)


def frame(benchmark: str, rows: list[Row]) -> pd.DataFrame:
    """Build a DataFrame with one row per run and one column per metric, sorted by the benchmark's cases and by seed."""
    cases = {case.name: (place, case) for place, case in enumerate(find_benchmark(benchmark).cases)}
    ordered = sorted(rows, key=lambda row: (cases[row.case][0], row.seed))
    descriptions: list[dict[str, Any]] = [
        {
            "case": row.case,
            "size": cases[row.case][1].size,
            "variant": cases[row.case][1].variant,
            "seed": row.seed,
            "host": row.machine.host,
            "processor": row.machine.processor,
            "revision": row.revision,
            "started": row.started,
            "diverged": np.nan if row.diverged is None else row.diverged,
        }
        for row in ordered
    ]
    return pd.DataFrame([description | figures_of(row) for description, row in zip(descriptions, ordered, strict=True)])
