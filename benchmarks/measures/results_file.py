"""Keep results: one line of JSON a run, appended so that a crash loses nothing, read so that nothing wrong gets in."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from agents.algorithms.table import without_others
from agents.settings.layers import differences
from agents.settings.schema import Settings
from benchmarks.files import RESULTS
from benchmarks.measures.row import FORMAT, Row, compared_versions, versions_text
from benchmarks.suite.case import Benchmark
from benchmarks.suite.cases import find_benchmark
from token_env.errors import SettingError
from token_env.files import cut_torn_line
from token_env.languages.find import find_language


class Rows(NamedTuple):
    """The rows of a results file that can be trusted together, and the others."""

    path: Path
    good: list[Row]
    refused: dict[int, str]  # why a line is left out

    @property
    def complaint(self) -> str:
        """What is left out and why, on a line each; empty if nothing is."""
        versions_text = [
            f"{self.path}, line {line}, is left out: {reason}" for line, reason in sorted(self.refused.items())
        ]
        return (
            "\n".join([*versions_text, f"Remove these lines, or move {self.path.name} away."]) if versions_text else ""
        )


def results_file(benchmark: str, folder: Path) -> Path:
    """Where the rows of a benchmark are."""
    return folder / f"{benchmark}.jsonl"


def read_rows(benchmark: str, folder: Path) -> Rows:
    """The rows of a benchmark.

    Raises:
        SettingError: an unknown benchmark, no results of it, or only such as cannot be trusted.
    """
    rows = read_rows_if_any(benchmark, folder)
    if rows.good:
        return rows
    if rows.refused:
        raise SettingError(rows.complaint)
    raise SettingError(
        f"there are no results of {benchmark!r} in {str(folder)!r}; type python -m benchmarks run {benchmark}"
        + ("." if folder == RESULTS else f" --results {folder}.")
    )


def read_rows_if_any(benchmark: str, folder: Path) -> Rows:
    """The rows of a benchmark; none if it was never run.

    Raises:
        SettingError: an unknown benchmark, or a file that cannot be read.
    """
    declared, path = find_benchmark(benchmark), results_file(benchmark, folder)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Rows(path, [], {})
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; type --results with a folder.") from error
    parsed = {number: _parse(line) for number, line in enumerate(content.split(b"\n")[:-1], start=1)}
    refused = {line: found for line, found in parsed.items() if isinstance(found, str)}
    read = {line: found for line, found in parsed.items() if isinstance(found, Row)}
    refused |= {line: reason for line, row in read.items() if (reason := _why_foreign(row, declared))}
    refused |= _of_other_versions({line: row for line, row in read.items() if line not in refused})
    refused |= _repeated({line: row for line, row in read.items() if line not in refused})
    return Rows(path, [row for line, row in read.items() if line not in refused], refused)


def append(benchmark: str, folder: Path, row: Row) -> bool:
    """Add a row, flushed to disk, after cutting off what a crash may have left of another one.

    Returns:
        False if the row of this case and seed is there already; then nothing is written.
    """
    path = results_file(benchmark, folder)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        cut_torn_line(file)
        # to read and validate all rows takes long, so it is done only if one of the same case and seed is there
        if (row.case, row.seed) in _keys(path) and any(
            (other.case, other.seed) == (row.case, row.seed) for other in read_rows_if_any(benchmark, folder).good
        ):
            return False
        file.write(row.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def _keys(path: Path) -> set[tuple[str, int]]:
    """Index the lines of a results file by case and seed, valid or not; damaged lines have no key."""
    keys = set()
    for line in path.read_bytes().splitlines():
        with suppress(ValueError, TypeError, KeyError):
            fields = json.loads(line)
            keys.add((fields["case"], fields["seed"]))
    return keys


@contextmanager
def exclusive_writer(benchmark: str, folder: Path) -> Iterator[None]:
    """Make sure that nobody else runs this benchmark into this folder; a crash gives it free.

    Raises:
        SettingError: somebody does, or the folder cannot be made.
    """
    lock = folder / f".{benchmark}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise SettingError(
            f"cannot write into {str(folder)!r}: {error.strerror}; type --results with another."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"another command runs {benchmark!r} into {str(folder)!r}; wait for it, or type --results "
                "with another folder."
            ) from None
        yield


def _parse(line: bytes) -> Row | str:
    """The row that a line holds, or why it holds none."""
    try:
        return Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        return f"it is no row of format {FORMAT} ({f'{place}: ' if place else ''}{reason})."
    except (ValueError, RecursionError) as error:
        return f"it is damaged ({error})."


def _why_foreign(row: Row, benchmark: Benchmark) -> str | None:
    """Why this row does not belong to the benchmark as it is declared today; None if it does."""
    cases = {case.name: case for case in benchmark.cases}
    if row.case not in cases:
        return f"the benchmark has no case {row.case!r}; known: {', '.join(cases)}."
    case = cases[row.case]
    expected, begun = case.settings(row.seed), row.start.settings if row.start else None
    for of_row, of_case, whose in ((row.settings, expected, ""), (begun, case.start_settings(row.seed), "start.")):
        if different := _difference(of_row, of_case):
            name, was, now = different
            return f"{row.case} has {whose}{name}={now!r} today, this run had {was!r}."
    env = expected.env
    if row.language != find_language(env.language, env.vocab_size, env.language_seed).fingerprint:
        return f"its language is not that of {row.case}; runs of different languages cannot be compared."
    return None


def _difference(of_row: Settings | None, of_case: Settings | None) -> tuple[str, Any, Any] | None:
    """The first setting in which they differ, with both values; the sections of other algorithms do not count."""
    if of_row is None or of_case is None:
        return None if of_row is of_case else ("run", of_row and of_row.name, of_case and of_case.name)
    theirs, ours = (without_others(settings, of_case.algorithm) for settings in (of_row, of_case))
    return next(differences(theirs, ours), None)


def _of_other_versions(rows: dict[int, Row]) -> dict[int, str]:
    """Which lines were made with other versions than most, and why they are left out."""
    if not rows:
        return {}
    made = {line: compared_versions(row.versions) for line, row in rows.items()}
    common = Counter(made.values()).most_common(1)[0][0]
    return {
        line: f"it was made with {versions_text(versions - common)}, most rows with {versions_text(common - versions)}."
        for line, versions in made.items()
        if versions != common
    }


def _repeated(rows: dict[int, Row]) -> dict[int, str]:
    """Which lines hold a run that an earlier line holds already."""
    first: dict[tuple[str, int], int] = {}
    repeated = {}
    for line, row in rows.items():
        earlier = first.setdefault((row.case, row.seed), line)
        if earlier != line:
            repeated[line] = f"it repeats line {earlier} ({row.case}, seed {row.seed})."
    return repeated
