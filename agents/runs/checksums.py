"""Write the checksums of a model's files to `SHA256SUMS`, and verify them on reading.

The checksums detect damaged and half-written models; `sha256sum --check SHA256SUMS` verifies them, too. They do not
authenticate the author: untrusted models are safe to load because no code from their files is executed.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from agents.runs import run_dir
from agents.runs.json_files import read_file, write_text
from token_env.errors import SettingError

LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")  # the format of coreutils' sha256sum


def write(directory: Path, names: Iterable[str]) -> None:
    """Write the checksums of these files of a directory. Call it last: models without checksums are incomplete."""
    lines = [f"{sha256((directory / name).read_bytes())}  {name}\n" for name in sorted(names)]
    write_text(directory / run_dir.CHECKSUMS, "".join(lines))


def read(directory: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the verified contents of a model's files, by file name. Files with other names are never opened.

    Args:
        directory: Directory of the model.
        needed: Names of files that every model has.
        optional: Names of files that a model may have.

    Raises:
        SettingError: The checksums are missing or name other files, or a file does not match its checksum.
    """
    sums = read_sums(directory / run_dir.CHECKSUMS)
    missing, unexpected = set(needed) - sums.keys(), sums.keys() - {*needed, *optional}
    if missing or unexpected:
        fault = f"lists {min(unexpected)!r}, which is no model file" if unexpected else f"does not list {min(missing)}"
        raise SettingError(f"the model in {str(directory)!r} is incomplete: its {run_dir.CHECKSUMS} {fault}.")
    return {name: _read_checked(directory / name, expected) for name, expected in sums.items()}


def read_sums(path: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file, by file name.

    Raises:
        SettingError: The file is missing, contains other lines, or lists a name twice.
    """
    lines = read_file(path).decode("utf-8", errors="replace").splitlines()
    matches = [LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match}
    if len(sums) != len(lines):
        raise SettingError(f"{str(path)!r} must contain a checksum and a file name on every line, and every name once.")
    return sums


def _read_checked(path: Path, expected: str) -> bytes:
    content = read_file(path)
    if sha256(content) != expected:
        raise SettingError(
            f"{str(path)!r} is damaged or was modified: its SHA-256 differs from the one in {run_dir.CHECKSUMS}; "
            "copy the run from its source again."
        )
    return content


def sha256(content: bytes) -> str:
    """Return the SHA-256 of the content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
