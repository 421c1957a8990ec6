"""Name the files of a run, make its directory, write them so that no crash leaves half a file."""

import json
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
LANGUAGE = "language.npz"  # of a run whose language is not made from its settings alone
SUMMARY = "summary.json"
LEARNING_CURVE = "learning_curve.png"
TENSORBOARD = "tensorboard"


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


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run.

    Raises:
        SettingError: it is missing or cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingError(f"{str(path.parent)!r} is no finished run: it has no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise SettingError(f"cannot read {str(path)!r}: {error}.") from error


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
