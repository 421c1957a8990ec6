"""Say what is wrong: one exception for every wrong setting, and one way to word an unknown name."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Row = TypeVar("Row")


class SettingError(ValueError):
    """A setting that cannot be used. The message says what was given, what is allowed and what to type."""


def unknown_name(kind: str, given: object, known: Iterable[str]) -> SettingError:
    """Build the error for a name that is in no table, with the nearest known name as a suggestion.

    Args:
        kind: what the name should have been, as a reader would call it ("reward", "split").
        given: what was given.
        known: every name that is allowed.
    """
    known = list(known)
    if not known:
        return SettingError(f"unknown {kind} {given!r}: there is none yet.")
    return SettingError(f"unknown {kind} {given!r}.{nearest(given, known)} Known: {', '.join(known)}.")


def nearest(given: object, known: Iterable[str]) -> str:
    """Ask whether the known name that is most like this one was meant; empty if none is like it."""
    found = difflib.get_close_matches(str(given), list(known), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


def find(kind: str, name: str, table: Mapping[str, Row]) -> Row:
    """The row of a table that has this name.

    Raises:
        SettingError: no row has it.
    """
    if name not in table:
        raise unknown_name(kind, name, table)
    return table[name]
