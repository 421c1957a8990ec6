"""Define the exception for wrong settings, and word the errors of table look-ups."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Row = TypeVar("Row")


class SettingError(ValueError):
    """A setting that cannot be used; the message says what is wrong, what is allowed and what to type."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> SettingError:
    """Build the error for a name that is in no table, with the closest known name as a suggestion.

    Args:
        kind: What the name stands for, in a reader's words ("reward", "split").
        name: The unknown name.
        known: All names that are allowed.
    """
    known = list(known)
    if not known:
        return SettingError(f"unknown {kind} {name!r}: there is none yet.")
    return SettingError(f"unknown {kind} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Suggest the known name with the most similar spelling, as " Did you mean …?"; "" if none is similar."""
    matches = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def find(kind: str, name: str, table: Mapping[str, Row]) -> Row:
    """Return the row of this name from a table.

    Args:
        kind: What the name stands for, in a reader's words ("reward", "split").
        name: The name to look up.
        table: The rows by name.

    Raises:
        SettingError: The table has no such name.
    """
    if name not in table:
        raise unknown_name(kind, name, table)
    return table[name]
