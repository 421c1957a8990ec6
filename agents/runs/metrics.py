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
    """What a run recorded."""

    episodes: pd.DataFrame  # a row an episode
    updates: pd.DataFrame  # a row an update


def metric_file_sizes(run: Path) -> dict[str, int]:
    """How long the files are that grow while a run trains, in bytes, all of them flushed to disk."""
    found = {}
    for path in _growing(run):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            found[str(path.relative_to(run))] = path.stat().st_size
    return found


def truncate_metrics(run: Path, lengths: Mapping[str, int]) -> None:
    """Cut off what these files have grown by since they were so long, and remove those that there were not.

    Raises:
        SettingError: something is missing of what was recorded before.
    """
    for name in (EPISODES, UPDATES):
        path = run / name
        if (path.stat().st_size if path.exists() else 0) < lengths.get(name, 0):
            raise SettingError(f"{str(path)!r} is shorter than when its checkpoint was written: it was damaged.")
    for path in _growing(run):
        length = lengths.get(str(path.relative_to(run)), 0)
        if path.stat().st_size > length:
            os.truncate(path, length)
        if not length and path.parent != run:
            path.unlink()


def wait_for_new_tensorboard_filename(run: Path) -> None:
    """Wait until another file of TensorBoard comes behind those that are there: their names begin with the second."""
    seconds = [int(path.name.split(".")[3]) for path in (run / TENSORBOARD).glob("events.out.tfevents.*")]
    if seconds and max(seconds) == int(time.time()):
        time.sleep(1)


def _growing(run: Path) -> list[Path]:
    lines = [path for path in (run / EPISODES, run / UPDATES) if path.exists()]
    return [*lines, *sorted((run / TENSORBOARD).glob("events.*"))]


def append_line(file: IO[str], row: dict[str, Any]) -> None:
    """Append one row to an open JSON-lines file."""
    file.write(json.dumps(row, allow_nan=False) + "\n")


def load_metrics(run: str | Path) -> Metrics:
    """What a run recorded, also while it is still running; a line torn by a crash is left out.

    Raises:
        SettingError: the directory holds no run.
    """
    return Metrics(_read_lines(Path(run) / EPISODES), _read_lines(Path(run) / UPDATES))


def _read_lines(path: Path) -> pd.DataFrame:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; is it a run?") from error
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn or empty
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise SettingError(f"line {number} of {str(path)!r} is damaged: {error}.") from error
    return pd.DataFrame(rows)
