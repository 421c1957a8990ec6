"""Split texts into words, and read the words of a text."""

import codecs
import re
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError

SEPARATOR = -1
CHUNK = 1 << 20  # bytes that are read at a time
PROGRESS_SECONDS = 2.0  # time between lines of progress
# Soft hyphens and marks of direction, which nobody sees, are removed from words.
INVISIBLE = re.compile(r"[\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# Letters with their combining marks; joiners, apostrophes and the Hebrew geresh and gershayim may stand between them.
WORD = r"\p{L}[\p{L}\p{M}]*(?:(?:[\u200c\u200d]+|['’\u05f3\u05f4])\p{L}[\p{L}\p{M}]*)*"
ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")  # what WORD finds in lower-case ASCII, in a tenth of the time


class Corpus(NamedTuple):
    """The words of a text, each distinct word stored once."""

    words: list[str]  # distinct words, in the order of their first occurrence
    sequence: NDArray[np.int32]  # indices into `words` in the order of the text; SEPARATOR between passages


@cache
def _word_pattern() -> Any:
    import regex  # imported late: only texts need it

    return regex.compile(WORD)


def split_words(text: str) -> list[str]:
    """Return the lower-case words of a text, in Unicode's composed form (NFC).

    A word is a run of letters with their combining marks, and with apostrophes and joiners inside. Scripts without
    spaces between words give one word per run of letters; segment such a text first.
    """
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    composed = unicodedata.normalize("NFC", text.lower())
    words: list[str] = _word_pattern().findall(INVISIBLE.sub("", composed))
    return words


@lru_cache(maxsize=1)
def read_corpus(file: Path, modified_ns: int) -> Corpus:  # noqa: ARG001  # cache key
    """Read the words of a UTF-8 text, a piece at a time; print a line of progress on standard error if that takes long.

    Args:
        file: The text.
        modified_ns: Time of its last change, in nanoseconds; a changed file is read again.

    Raises:
        SettingError: The file is not text.
        OSError: The file cannot be read.
    """
    try:
        return _index_words(split_words(piece) for piece in _pieces(file))
    except ValueError as error:
        raise SettingError(f"it is not text ({error}); type text:PATH with the path of a UTF-8 text file.") from error


def _pieces(file: Path) -> Iterator[str]:
    """Read a text in pieces that end between two words.

    Raises:
        ValueError: The file is not UTF-8 text.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    size, done, printed = file.stat().st_size, 0, time.monotonic()
    rest = ""
    with file.open("rb") as stream:
        while content := stream.read(CHUNK):
            if b"\0" in content:
                raise ValueError("it holds a NUL byte")
            text = decoder.decode(content)
            end = max(text.rfind(" "), text.rfind("\n"))
            if end >= 0:
                yield rest + text[:end]
                rest = ""
            rest += text[end + 1 :] if end >= 0 else text
            done += len(content)
            if time.monotonic() - printed > PROGRESS_SECONDS:
                print(f"reading {file.name!r}: {done / 1e6:.0f} of {size / 1e6:.0f} MB", file=sys.stderr)
                printed = time.monotonic()
    yield rest + decoder.decode(b"", final=True)


def _index_words(pieces: Iterable[list[str]]) -> Corpus:
    index = _Index()
    parts = [np.fromiter(map(index.__getitem__, words), np.int32, count=len(words)) for words in pieces]
    return Corpus(list(index), np.concatenate(parts) if parts else np.empty(0, dtype=np.int32))


class _Index(dict[str, int]):  # numbers each key when it is first asked for
    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


def make_corpus(passages: Sequence[list[str]]) -> Corpus:
    """Index the words of independent passages."""
    words, sequence = _index_words(passages)
    ends = np.cumsum([len(passage) for passage in passages])
    return Corpus(words, np.insert(sequence, ends, SEPARATOR))
