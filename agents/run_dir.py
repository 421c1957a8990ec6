"""Name the files of a run, make its directory, write them so that no crash leaves half a file."""

import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
CARD = "README.md"  # the model card
LEARNING_CURVE = "learning_curve.png"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"  # states of the training, to go on from
BEST = "best"  # the model that did best on validation problems, itself a directory that can be loaded
MOST_BYTES = 1_000_000_000  # of a file that is read at once


class Metrics(NamedTuple):
    """What a run recorded."""

    episodes: pd.DataFrame  # a row an episode
    updates: pd.DataFrame  # a row an update


def default_path(algorithm: str, name: str, seed: int) -> Path:
    """Where a run goes that names no directory: `runs/ppo-fast-0-<time>`."""
    return Path("runs") / f"{algorithm}-{name}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def create(path: Path, files: Mapping[str, bytes]) -> Path:
    """Make the directory of a new run with its first files: all of it or nothing, whenever it is killed.

    Raises:
        SettingError: it exists already, or cannot be made.
    """
    if path.exists() or path.is_symlink():
        raise SettingError(f"{str(path)!r} exists already; type --out with a new directory, or remove it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            for name, content in files.items():
                write_bytes(unfinished / name, content)
            unfinished.chmod(0o755)
            unfinished.rename(path)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
    except OSError as error:
        raise SettingError(
            f"cannot make the directory {str(path)!r}: {error.strerror}; type --out with another one."
        ) from error
    return path


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Make sure that no other process trains in this directory; a crash gives it free.

    Raises:
        SettingError: one does, or the directory cannot be written.
    """
    try:
        file = (run / EPISODES).open("ab")
    except OSError as error:
        raise SettingError(f"cannot write into {str(run)!r}: {error.strerror}; make it writable.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(f"another process trains in {str(run)!r}; wait for it, or stop it.") from None
        yield


def sizes(run: Path) -> dict[str, int]:
    """How long the files are that grow while a run trains, in bytes, all of them flushed to disk."""
    found = {}
    for path in _growing(run):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            found[str(path.relative_to(run))] = path.stat().st_size
    return found


def cut(run: Path, lengths: Mapping[str, int]) -> None:
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


def let_the_second_pass(run: Path) -> None:
    """Wait until another file of TensorBoard comes behind those that are there: their names begin with the second."""
    seconds = [int(path.name.split(".")[3]) for path in (run / TENSORBOARD).glob("events.out.tfevents.*")]
    if seconds and max(seconds) == int(time.time()):
        time.sleep(1)


def _growing(run: Path) -> list[Path]:
    lines = [path for path in (run / EPISODES, run / UPDATES) if path.exists()]
    return [*lines, *sorted((run / TENSORBOARD).glob("events.*"))]


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in UTF-8, or none."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write a whole JSON file, or none."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """JSON as the files of a run hold it."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


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
