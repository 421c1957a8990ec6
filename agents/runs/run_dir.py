"""Name the files of a run directory, create the directory, and lock it against other writers."""

import fcntl
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from token_env.errors import SettingError
from token_env.files import new_folder, write_bytes

CONFIG = "config.yaml"  # the resolved settings; usable as --config
RUN = "run.json"  # command, versions, machine
EPISODES = "episodes.jsonl"  # one line per episode, written when it ends
UPDATES = "updates.jsonl"  # one line per policy update
MODEL = "model.json"  # format version, settings and language fingerprint
WEIGHTS = "model.safetensors"
LANGUAGE = "language.safetensors"  # only if the language is not synthetic
CHECKSUMS = "SHA256SUMS"  # SHA-256 of the three model files above
SUMMARY = "summary.json"
CARD = "README.md"  # the model card
LEARNING_CURVE = "learning_curve.png"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"  # directory of checkpoints
BEST = "best"  # directory of the model with the best validation score; can be loaded like a run


def default_path(algorithm: str, name: str, seed: int) -> Path:
    """Return the default directory of a run: `runs/ppo-fast-0-<time>`."""
    return Path("runs") / f"{algorithm}-{name}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def as_typed(path: Path) -> str:
    """Return a path as it stands in a command that the user types: quoted for a shell, and never like an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def check_utf8(path: Path) -> None:
    """Check that a path is UTF-8, as TensorBoard's writer and the files that name it demand.

    Raises:
        SettingError: It is not.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise SettingError(
            f"the directory {str(path)!a} is not UTF-8; give it, and those above it, another name."
        ) from None


def create_run_dir(path: Path, files: Mapping[str, bytes]) -> Path:
    """Create the directory of a new run with its initial files, atomically.

    Args:
        path: Directory to create.
        files: Content of the initial files, by name.

    Raises:
        SettingError: The directory exists already, or cannot be created.
    """
    check_utf8(path)
    if path.exists() or path.is_symlink():
        raise SettingError(f"{str(path)!r} exists already; type --out with a new directory, or delete this one.")
    try:
        with new_folder(path) as folder:
            for name, content in files.items():
                write_bytes(folder / name, content)
    except OSError as error:
        raise SettingError(
            f"cannot create the directory {str(path)!r}: {error.strerror}; type --out with another directory."
        ) from error
    return path


@contextmanager
def exclusive_writer(run: Path) -> Iterator[None]:
    """Lock the directory of a run against other training processes; a crash releases the lock.

    Raises:
        SettingError: Another process holds the lock, or the directory is not writable.
    """
    try:
        file = (run / EPISODES).open("ab")
    except OSError as error:
        raise SettingError(f"cannot write into {str(run)!r}: {error.strerror}; make it writable.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"another process is training in {str(run)!r}; wait until it ends, or stop it."
            ) from None
        yield
