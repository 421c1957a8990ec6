"""Read and write the JSON and text files of a run; a crash leaves no half-written file."""

import json
import stat
from pathlib import Path
from typing import Any

from token_env.errors import SettingError
from token_env.files import write_bytes

MAX_BYTES = 1_000_000_000  # larger files are not read into memory


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, atomically."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """Return the content as indented JSON in UTF-8, with a final newline."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_file(path: Path) -> bytes:
    """Return the content of a regular file of a run.

    Raises:
        SettingError: The file is missing, unreadable, too large, or a pipe or device, which might never end.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise SettingError(f"{str(path)!r} must be a regular file of at most {MAX_BYTES:,} bytes.")
        return path.read_bytes()
    except FileNotFoundError:
        raise SettingError(f"{str(path.parent)!r} is no finished run: it has no {path.name}.") from None
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}.") from error


def read_json(path: Path) -> Any:
    """Read and parse a JSON file of a run; for errors see `read_file` and `parse_json`."""
    return parse_json(read_file(path), path)


def parse_json(content: bytes, path: Path) -> Any:
    """Parse the content of a JSON file of a run.

    Raises:
        SettingError: The content is not JSON, or an object has a key twice.
    """
    try:
        return json.loads(content, object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"cannot read {str(path)!r}: {error}.") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return mapping


def _reject_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
