"""Name the files of a run, make its directory, write them so that no crash leaves half a file."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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


def default_path(algorithm: str, name: str, seed: int) -> Path:
    """Where a run goes that names no directory: `runs/ppo-fast-0-<time>`."""
    return Path("runs") / f"{algorithm}-{name}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def create_run_dir(path: Path, files: Mapping[str, bytes]) -> Path:
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
def exclusive_writer(run: Path) -> Iterator[None]:
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
