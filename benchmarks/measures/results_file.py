"""Append rows to results files crash-safely, one line of JSON per run, and validate every line when reading."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from agents.algorithms.table import without_other_algorithms
from agents.settings.layers import differences
from agents.settings.schema import Settings
from benchmarks.files import results_option
from benchmarks.measures.head_numbers import Constants
from benchmarks.measures.row import FORMAT, Row, compared_versions, versions_text
from benchmarks.suite.case import Benchmark
from benchmarks.suite.cases import find_benchmark
from token_env.errors import SettingError
from token_env.files import drop_partial_line
from token_env.languages.find import find_language


class Rows(NamedTuple):
    """The content of a results file: valid, comparable rows and the lines that are left out."""

    path: Path
    accepted: list[Row]
    refused: dict[int, str]  # line number → reason why the line is left out

    @property
    def warning(self) -> str:
        """Message that names each refused line and the reason; empty if no line is refused."""
        if not self.refused:
            return ""
        lines = [f"{self.path}, line {line}, is left out: {reason}" for line, reason in sorted(self.refused.items())]
        return "\n".join([*lines, f"Remove these lines, or move {self.path.name} away."])


def results_file(benchmark: str, folder: Path) -> Path:
    """Return the path of a benchmark's results file."""
    return folder / f"{benchmark}.jsonl"


def read_rows(benchmark: str, folder: Path) -> Rows:
    """Read the results file of a benchmark.

    Raises:
        SettingError: If the benchmark is unknown, has no results, or no line of its results is accepted.
    """
    rows = read_rows_if_any(benchmark, folder)
    if rows.accepted:
        return rows
    if rows.refused:
        raise SettingError(rows.warning)
    raise SettingError(
        f"there are no results of {benchmark!r} in {str(folder)!r}; "
        f"type python -m benchmarks run {benchmark}{results_option(folder)}."
    )


def read_rows_if_any(benchmark: str, folder: Path) -> Rows:
    """Read the results file of a benchmark; return no rows if the file does not exist.

    Raises:
        SettingError: If the benchmark is unknown or the file cannot be read.
    """
    definition, path = find_benchmark(benchmark), results_file(benchmark, folder)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Rows(path, [], {})
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; type --results with a folder.") from error
    parsed = {number: _parse(line) for number, line in enumerate(content.split(b"\n")[:-1], start=1)}
    refused = {line: reason for line, reason in parsed.items() if isinstance(reason, str)}
    rows = {line: row for line, row in parsed.items() if isinstance(row, Row)}
    refused |= {line: reason for line, row in rows.items() if (reason := _mismatch(row, definition))}
    refused |= _version_mismatches({line: row for line, row in rows.items() if line not in refused})
    refused |= _duplicates({line: row for line, row in rows.items() if line not in refused})
    return Rows(path, [row for line, row in rows.items() if line not in refused], refused)


def append(benchmark: str, folder: Path, row: Row) -> bool:
    """Append a row and flush it to disk; first remove an incomplete line left by a crash.

    Returns:
        False if the file already holds a row of this case and seed; then nothing is written.
    """
    path = results_file(benchmark, folder)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        drop_partial_line(file)
        # validation of all rows is slow, so it runs only if a line has the same case and seed
        if (row.case, row.seed) in _keys(path) and any(
            (other.case, other.seed) == (row.case, row.seed) for other in read_rows_if_any(benchmark, folder).accepted
        ):
            return False
        file.write(row.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def _keys(path: Path) -> set[tuple[str, int]]:
    """Return case and seed of every line of a results file without validation; skip damaged lines."""
    keys = set()
    for line in path.read_bytes().splitlines():
        with suppress(ValueError, TypeError, KeyError):
            fields = json.loads(line)
            keys.add((fields["case"], fields["seed"]))
    return keys


@contextmanager
def exclusive_writer(benchmark: str, folder: Path) -> Iterator[None]:
    """Hold the lock of a benchmark's results file; the operating system releases it after a crash.

    Raises:
        SettingError: If another process holds the lock or the folder cannot be created.
    """
    lock = folder / f".{benchmark}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise SettingError(
            f"cannot write into {str(folder)!r}: {error.strerror}; type --results with another folder."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"another command runs {benchmark!r} into {str(folder)!r}; wait until it ends, or type --results "
                "with another folder."
            ) from None
        yield


def _parse(line: bytes) -> Row | str:
    """Parse a line; return its row, or the reason why it is invalid."""
    try:
        return Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        return f"it is not a row of format {FORMAT} ({f'{place}: ' if place else ''}{reason})."
    except (ValueError, RecursionError) as error:
        return f"it is damaged ({error})."


def _mismatch(row: Row, benchmark: Benchmark) -> str | None:
    """Compare a row with the current definition of its case; return the first difference, or None."""
    cases = {case.name: case for case in benchmark.cases}
    if row.case not in cases:
        return f"the benchmark has no case {row.case!r}; known: {', '.join(cases)}."
    case = cases[row.case]
    expected, start = case.settings(row.seed), row.start.settings if row.start else None
    for of_row, of_case, prefix in ((row.settings, expected, ""), (start, case.start_settings(row.seed), "start.")):
        if difference := _difference(of_row, of_case):
            name, old, new = difference
            return f"{row.case} has {prefix}{name}={new!r} today, this run had {old!r}."
    with case.constants_in_use():
        constants = Constants.in_use()
    if row.head and row.head.constants != constants:
        return f"{row.case} has the head's {constants!r} today, this run had {row.head.constants!r}."
    env = expected.env
    if row.language != find_language(env.language, env.vocab_size, env.language_seed).fingerprint:
        return f"its language is not that of {row.case}; runs of different languages cannot be compared."
    return None


def _difference(of_row: Settings | None, of_case: Settings | None) -> tuple[str, Any, Any] | None:
    """Return name and both values of the first different setting; ignore the sections of other algorithms."""
    if of_row is None or of_case is None:
        return None if of_row is of_case else ("run", of_row and of_row.name, of_case and of_case.name)
    row_settings, case_settings = (
        without_other_algorithms(settings, of_case.algorithm) for settings in (of_row, of_case)
    )
    return next(differences(row_settings, case_settings), None)


def _version_mismatches(rows: dict[int, Row]) -> dict[int, str]:
    """Return the lines whose library versions differ from the most common ones, with the reason."""
    if not rows:
        return {}
    by_line = {line: compared_versions(row.versions) for line, row in rows.items()}
    common = Counter(by_line.values()).most_common(1)[0][0]
    return {
        line: f"it was made with {versions_text(versions - common)}, most rows with {versions_text(common - versions)}."
        for line, versions in by_line.items()
        if versions != common
    }


def _duplicates(rows: dict[int, Row]) -> dict[int, str]:
    """Return the lines that repeat the case and seed of an earlier line, with the reason."""
    first_lines: dict[tuple[str, int], int] = {}
    duplicates = {}
    for line, row in rows.items():
        first_line = first_lines.setdefault((row.case, row.seed), line)
        if first_line != line:
            duplicates[line] = f"it repeats line {first_line} ({row.case}, seed {row.seed})."
    return duplicates
