"""Append to the metric files of a run, truncate them to a checkpoint, and load them as tables."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from agents.runs.run_dir import EPISODES, TENSORBOARD, UPDATES
from token_env.errors import SettingError


class Metrics(NamedTuple):
    """The metric tables of a run."""

    episodes: pd.DataFrame  # one row per episode
    updates: pd.DataFrame  # one row per policy update


def metric_file_sizes(run: Path) -> dict[str, int]:
    """Flush the metric and TensorBoard files of a run to disk, and return their sizes in bytes, by relative path."""
    sizes = {}
    for path in _appended_files(run):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            sizes[str(path.relative_to(run))] = path.stat().st_size
    return sizes


def truncate_metrics(run: Path, sizes: Mapping[str, int]) -> None:
    """Truncate the metric and TensorBoard files of a run to these sizes; delete TensorBoard files without a size.

    Args:
        run: Directory of the run.
        sizes: Size of each file in bytes, by path relative to the run; missing files count as 0.

    Raises:
        SettingError: A metric file is shorter than its size: recorded rows are missing.
    """
    for name in (EPISODES, UPDATES):
        path = run / name
        if (path.stat().st_size if path.exists() else 0) < sizes.get(name, 0):
            raise SettingError(f"{str(path)!r} is shorter than when its checkpoint was written: the file is damaged.")
    for path in _appended_files(run):
        size = sizes.get(str(path.relative_to(run)), 0)
        if path.stat().st_size > size:
            os.truncate(path, size)
        if not size and path.parent != run:
            path.unlink()


def wait_for_new_tensorboard_filename(run: Path) -> None:
    """Wait until a new TensorBoard file gets a name of its own: the names contain the time in whole seconds."""
    seconds = [int(path.name.split(".")[3]) for path in (run / TENSORBOARD).glob("events.out.tfevents.*")]
    if seconds and max(seconds) == int(time.time()):
        time.sleep(1)


def _appended_files(run: Path) -> list[Path]:
    lines = [path for path in (run / EPISODES, run / UPDATES) if path.exists()]
    return [*lines, *sorted((run / TENSORBOARD).glob("events.*"))]


def append_line(file: IO[str], row: dict[str, Any]) -> None:
    """Append one row to an open JSON-lines file."""
    file.write(json.dumps(row, allow_nan=False) + "\n")


def load_metrics(run: str | Path) -> Metrics:
    """Load the metrics of a run, also while it is training; a last line cut off by a crash is ignored.

    Raises:
        SettingError: The directory is no run, or a line is damaged.
    """
    return Metrics(_read_lines(Path(run) / EPISODES), _read_lines(Path(run) / UPDATES))


def _read_lines(path: Path) -> pd.DataFrame:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; is it a run?") from error
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # text after the last newline is incomplete or empty
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise SettingError(f"line {number} of {str(path)!r} is damaged: {error}.") from error
    return pd.DataFrame(rows)
