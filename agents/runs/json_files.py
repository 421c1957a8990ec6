"""Read and write the JSON and text files of a run; a crash leaves no half-written file."""

import json
import stat
from pathlib import Path
from typing import Any

from token_env.errors import SettingError
from token_env.files import write_bytes

MOST_BYTES = 1_000_000_000  # of a file that is read at once


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
