"""Fit the bundled English from WordNet's glosses: `python -m token_env.languages.fit_english DIRECTORY`."""

import argparse
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from token_env.errors import SettingError
from token_env.languages.english import BUNDLE, SHA256, UNIT
from token_env.languages.text import from_passages, words_of

FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
NUM_WORDS = 5000


def read_passages(directory: Path) -> list[list[str]]:
    """The words of every definition and of every quoted example in WordNet's glosses.

    A line of WordNet's data files is `a word and its links | definition; definition; "example"; "example"`.

    Raises:
        SettingError: a file that cannot be read as text, or has no glosses.
    """
    passages = []
    for name in FILES:
        path = directory / name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SettingError(
                f"cannot read {str(path)!r}: {reason}; type the directory of WordNet's {', '.join(FILES)}."
            ) from error
        glosses = [gloss for _, bar, gloss in (line.partition(" | ") for line in lines) if bar]
        if not glosses:
            raise SettingError(f"{str(path)!r} has no glosses; type the directory of WordNet's {', '.join(FILES)}.")
        parts = chain.from_iterable(gloss.split("; ") for gloss in glosses)
        passages += [words for part in parts if (words := words_of(part))]
    return passages


def fit_bundle(passages: Sequence[list[str]], num_words: int, source: str) -> bytes:
    """The file that `english.read_bundle` reads, the same bytes from the same passages on every machine.

    Vectors are rounded to whole multiples of UNIT, since the last digits of a singular value decomposition differ
    between machines, and nothing is compressed, since compressors do.

    Args:
        passages: the words of each passage.
        num_words: V.
        source: where the passages are from, in words; kept in the file.

    Raises:
        SettingError: too few distinct words.
    """
    language = from_passages(passages, num_words)
    counts = Counter(chain.from_iterable(passages))
    pairs = chain.from_iterable(map(pairwise, passages))
    known = set(language.surface)
    provenance = {
        "source": source,
        "licence": "LICENSE-WordNet",
        "passages": len(passages),
        "words": counts.total(),
        "pairs": sum(a in known and b in known for a, b in pairs),
    }
    stream = io.BytesIO()
    np.savez(
        stream,
        provenance=_as_bytes(json.dumps(provenance)),
        surface=_as_bytes("\n".join(language.surface)),
        counts=np.array([counts[word] for word in language.surface], dtype="<i4"),
        context=np.rint(language.context / UNIT).astype("<i2"),
        output=np.rint(language.output / UNIT).astype("<i2"),
    )
    return stream.getvalue()


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def main() -> None:
    """Read the glosses, fit, write the file, and print what it is."""
    parser = argparse.ArgumentParser(prog="python -m token_env.languages.fit_english", description=__doc__)
    parser.add_argument("glosses", type=Path, metavar="DIRECTORY", help=f"of WordNet's {', '.join(FILES)}")
    parser.add_argument("--out", type=Path, metavar="FILE", default=BUNDLE, help="[default: the bundled file]")
    parser.add_argument("--source", default="WordNet 3.0", help="where the glosses are from; kept in the file")
    parser.add_argument("--words", type=int, default=NUM_WORDS, help=f"how many [default: {NUM_WORDS}]")
    given = parser.parse_args()
    try:
        content = fit_bundle(read_passages(given.glosses), given.words, given.source)
        given.out.write_bytes(content)
    except SettingError as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(2, f"cannot write {str(given.out)!r}: {error.strerror}.\n")
    digest = hashlib.sha256(content).hexdigest()
    print(f"{given.out}: {len(content):,} bytes, sha256 {digest}")
    if given.out == BUNDLE and digest != SHA256:
        print(
            "This file differs from the bundled one: English has other problems once languages/english.py names "
            "this sha256."
        )


if __name__ == "__main__":
    main()
