"""Define the exception for wrong settings, and word the errors of table look-ups."""

import difflib
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Row = TypeVar("Row")
_VALUES = reprlib.Repr()
_VALUES.maxstring = _VALUES.maxother = 200


MAX_MESSAGE = 2000  # characters of an error's message
MAX_MESSAGES = 20  # messages that an error lists
_KNOWN_AFTER_SUGGESTION = re.compile(r"(?<='\?) Known: [^\n]*")  # left out where many messages are listed


class SettingError(ValueError):
    """A setting that cannot be used; the message says what is wrong, what is allowed and what to type.

    A message of more than `MAX_MESSAGE` characters loses its middle. Several messages, one for each wrong setting, are
    listed on a line each, at most `MAX_MESSAGES` of them.
    """

    def __init__(self, *messages: str) -> None:
        self.messages = tuple(_without_middle(message, MAX_MESSAGE) for message in messages)
        super().__init__(_listed(self.messages))


class UnknownKeywordError(SettingError, TypeError):
    """A keyword that a constructor does not have; a TypeError too, as callers expect of any constructor."""


def shortened(value: object) -> str:
    """Return the representation of a value for a message, however large the value is."""
    return _VALUES.repr(value)


def check_all(*checks: Callable[[], object]) -> None:
    """Call every check, and raise the errors of all that fail as one.

    Raises:
        SettingError: At least one check failed; of the class of the first error.
    """
    errors: list[SettingError] = []
    for check in checks:
        try:
            check()
        except SettingError as error:
            errors.append(error)
    if errors:
        raise type(errors[0])(*(message for error in errors for message in error.messages)) from errors[0]


def _listed(messages: tuple[str, ...]) -> str:
    if len(messages) < 2:
        return "".join(messages)
    shown = [f"\n- {_KNOWN_AFTER_SUGGESTION.sub('', message)}" for message in messages[:MAX_MESSAGES]]
    rest = f"\n- and {len(messages) - MAX_MESSAGES} more." if len(messages) > MAX_MESSAGES else ""
    return f"{len(messages)} settings cannot be used:{''.join(shown)}{rest}"


def _without_middle(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length // 2]} … {text[-length // 2 :]}"


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
