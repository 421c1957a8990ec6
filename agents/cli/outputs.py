"""Check output paths before a command computes anything, and write files atomically."""

from collections.abc import Sequence
from pathlib import Path

from token_env.errors import SettingError
from token_env.files import write_bytes


def check_output(path: Path, suffixes: Sequence[str] = (), option: str = "--out") -> None:
    """Reject a path to which no file can be written.

    Args:
        path: Path of the file.
        suffixes: Allowed file suffixes, in lower case; any suffix if empty.
        option: Command-line option for the path, for the error message.

    Raises:
        SettingError: The suffix is not allowed, the path is a directory, or its parent directory does not exist.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise _refusal(
            path, f"its suffix must be {' or '.join(suffixes)}", f"{option} episode{suffixes[0]}, for example"
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "it is a directory" if path.is_dir() else f"there is no directory {str(path.parent)!r}"
        raise _refusal(path, reason, f"{option} with a file")


def check_new_file(path: Path) -> None:
    """Reject a path that exists.

    Raises:
        SettingError: The path exists.
    """
    if path.exists():
        raise SettingError(f"{str(path)!r} exists already; type --out with a new file, or remove it.")


def write_output(path: Path, content: bytes, option: str = "--out") -> Path:
    """Write a file atomically, and return its path.

    Raises:
        SettingError: The file cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise _refusal(path, str(error.strerror), f"{option} with another file") from error
    return path


def make_folder(folder: Path) -> Path:
    """Create a folder with its parents, and return its path.

    Raises:
        SettingError: The folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(folder, str(error.strerror), "--out with another folder") from error
    return folder


def _refusal(path: Path, reason: str, advice: str) -> SettingError:
    return SettingError(f"cannot write {str(path)!r}: {reason}; type {advice}.")
