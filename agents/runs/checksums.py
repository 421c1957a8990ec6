"""Sum up the files of a model in `SHA256SUMS`, and read only what is as it was written.

The checksums tell a damaged or half-written model from a whole one; `sha256sum --check SHA256SUMS` checks them too.
They do not tell who made it: against a stranger's files stands that nothing in them is ever executed.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from agents.runs import run_dir
from agents.runs.json_files import read_file, write_text
from token_env.errors import SettingError

LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")  # as coreutils write it


def write(directory: Path, names: Iterable[str]) -> None:
    """Write the checksums of these files of a directory; last of all, since a model without them is not whole."""
    lines = [f"{sha256((directory / name).read_bytes())}  {name}\n" for name in sorted(names)]
    write_text(directory / run_dir.CHECKSUMS, "".join(lines))


def read(directory: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, bytes]:
    """The content of the files of a model, by name: those that it needs and those of the optional ones that it has.

    No other file is opened, whatever the checksums name.

    Raises:
        SettingError: checksums that are missing or name other files, or a file that is not as it was written.
    """
    sums = read_sums(directory / run_dir.CHECKSUMS)
    missing, foreign = set(needed) - sums.keys(), sums.keys() - {*needed, *optional}
    if missing or foreign:
        which = f"name {min(foreign)!r}, which is no file of a model" if foreign else f"do not name {min(missing)}"
        raise SettingError(f"the model in {str(directory)!r} is not whole: its {run_dir.CHECKSUMS} {which}.")
    return {name: _read_checked(directory / name, expected) for name, expected in sums.items()}


def read_sums(path: Path) -> Mapping[str, str]:
    """SHA-256 by the name of the file.

    Raises:
        SettingError: no checksums, or a file that holds something else, or a name twice.
    """
    lines = read_file(path).decode("utf-8", errors="replace").splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in found if match}
    if len(sums) != len(lines):
        raise SettingError(f"{str(path)!r} must hold a checksum and a name on every line, and every name once.")
    return sums


def _read_checked(path: Path, expected: str) -> bytes:
    content = read_file(path)
    if sha256(content) != expected:
        raise SettingError(
            f"{str(path)!r} is not as it was written: its SHA-256 is not the one in {run_dir.CHECKSUMS}; "
            "take the run from where it came from again."
        )
    return content


def sha256(content: bytes) -> str:
    """Its checksum, in 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
