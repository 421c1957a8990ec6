"""Name the files of a run, make its directory, write them so that no crash leaves half a file."""

import json
import stat
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from token_env.errors import SettingError
from token_env.files import write_bytes

CONFIG = "config.yaml"  # the resolved settings; usable as --config
RUN = "run.json"  # command, versions, machine
EPISODES = "episodes.jsonl"  # a line an episode, written as it ends
UPDATES = "updates.jsonl"  # a line an update of the policy
MODEL = "model.json"  # what is needed to rebuild the policy
WEIGHTS = "model.safetensors"
LANGUAGE = "language.safetensors"  # of a run whose language is not made from its settings alone
CHECKSUMS = "SHA256SUMS"  # of the files of the model, the three above
SUMMARY = "summary.json"
LEARNING_CURVE = "learning_curve.png"
TENSORBOARD = "tensorboard"
MOST_BYTES = 1_000_000_000  # of a file that is read at once


class Metrics(NamedTuple):
    """What a run recorded."""

    episodes: pd.DataFrame  # a row an episode
    updates: pd.DataFrame  # a row an update


def default_path(algorithm: str, name: str, seed: int) -> Path:
    """Where a run goes that names no directory: `runs/ppo-fast-0-<time>`."""
    return Path("runs") / f"{algorithm}-{name}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def create(path: Path) -> Path:
    """Make the directory of a new run.

    Raises:
        SettingError: it exists already, or cannot be made.
    """
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise SettingError(f"{str(path)!r} exists already; type --out with a new directory, or remove it.") from None
    except OSError as error:
        raise SettingError(
            f"cannot make the directory {str(path)!r}: {error.strerror}; type --out with another one."
        ) from error
    return path


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in UTF-8, or none."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write a whole JSON file, or none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_file(path: Path) -> bytes:
    """The content of a plain file of a run that is not too large.

    Raises:
        SettingError: it is missing, cannot be read, or is a pipe or a device, which might never end.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_BYTES:
            raise SettingError(f"{str(path)!r} is no plain file of at most {MOST_BYTES:,} bytes.")
        return path.read_bytes()
    except FileNotFoundError:
        raise SettingError(f"{str(path.parent)!r} is no finished run: it has no {path.name}.") from None
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}.") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run; as `read_file` and `parse_json`."""
    return parse_json(read_file(path), path)


def parse_json(content: bytes, path: Path) -> Any:
    """What a JSON file of a run holds.

    Raises:
        SettingError: it is no JSON, or says something twice.
    """
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"cannot read {str(path)!r}: {error}.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it says {next(name for name in names if names.count(name) > 1)!r} twice")
    return told


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


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
