"""Check where a command is to write before it computes anything, and write whole files."""

from collections.abc import Sequence
from pathlib import Path

from token_env.errors import SettingError
from token_env.files import write_bytes


def check_output(path: Path, endings: Sequence[str] = (), option: str = "--out") -> None:
    """Refuse a file that cannot be written.

    Args:
        path: the file.
        endings: that are allowed, in lower case; any if there are none.
        option: that names the file on the command line.

    Raises:
        SettingError: another ending, a directory, or a file in a directory that does not exist.
    """
    if endings and path.suffix.lower() not in endings:
        raise _refusal(path, f"its ending must be {' or '.join(endings)}", f"{option} episode{endings[0]}, say")
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "it is a directory" if path.is_dir() else f"there is no directory {str(path.parent)!r}"
        raise _refusal(path, reason, f"{option} with a file")


def check_new(path: Path) -> None:
    """Refuse a file that exists.

    Raises:
        SettingError: it exists.
    """
    if path.exists():
        raise SettingError(f"{str(path)!r} exists already; type --out with a new file, or remove it.")


def write_output(path: Path, content: bytes, option: str = "--out") -> Path:
    """Write a whole file or nothing, and return its path.

    Raises:
        SettingError: it cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise _refusal(path, str(error.strerror), f"{option} with another file") from error
    return path


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, and return its path.

    Raises:
        SettingError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(folder, str(error.strerror), "--out with another folder") from error
    return folder


def _refusal(path: Path, reason: str, advice: str) -> SettingError:
    return SettingError(f"cannot write {str(path)!r}: {reason}; type {advice}.")
