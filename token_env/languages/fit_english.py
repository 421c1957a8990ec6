"""Fit the bundled English to the glosses of WordNet: `python -m token_env.languages.fit_english DIRECTORY`."""

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
from token_env.languages.corpus import split_words
from token_env.languages.english import BUNDLE, RESOLUTION, SHA256
from token_env.languages.text import from_passages

FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
NUM_WORDS = 5000


def read_passages(directory: Path) -> list[list[str]]:
    """Return the words of every definition and every quoted example in WordNet's glosses, one list per passage.

    A line of WordNet's data files is `a word and its links | definition; definition; "example"; "example"`.

    Raises:
        SettingError: A file that cannot be read as text, or has no glosses.
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
        passages += [words for part in parts if (words := split_words(part))]
    return passages


def fit_bundle(passages: Sequence[list[str]], num_words: int, source: str) -> bytes:
    """Return the content of the file that `english.read_bundle` reads, identical on every machine.

    Vectors are rounded to multiples of RESOLUTION, because the last digits of a singular value decomposition differ
    between machines. Nothing is compressed, because compressors differ, too.

    Args:
        passages: The words of each passage.
        num_words: Number of words V.
        source: Origin of the passages, stored in the file.

    Raises:
        SettingError: Too few distinct words.
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
        context=np.rint(language.context / RESOLUTION).astype("<i2"),
        output=np.rint(language.output / RESOLUTION).astype("<i2"),
    )
    return stream.getvalue()


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def main() -> None:
    """Fit English to the glosses, write the file, and print its size and checksum."""
    parser = argparse.ArgumentParser(prog="python -m token_env.languages.fit_english", description=__doc__)
    parser.add_argument("glosses", type=Path, metavar="DIRECTORY", help=f"directory of WordNet's {', '.join(FILES)}")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=BUNDLE, help="output file [default: the bundled file]"
    )
    parser.add_argument("--source", default="WordNet 3.0", help="origin of the glosses, stored in the file")
    parser.add_argument("--words", type=int, default=NUM_WORDS, help=f"number of words [default: {NUM_WORDS}]")
    args = parser.parse_args()
    try:
        content = fit_bundle(read_passages(args.glosses), args.words, args.source)
        args.out.write_bytes(content)
    except SettingError as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(2, f"cannot write {str(args.out)!r}: {error.strerror}.\n")
    digest = hashlib.sha256(content).hexdigest()
    print(f"{args.out}: {len(content):,} bytes, sha256 {digest}")
    if args.out == BUNDLE and digest != SHA256:
        print(
            "This file differs from the bundled one. To use it, set SHA256 in languages/english.py to this value; "
            "the problems in English change."
        )


if __name__ == "__main__":
    main()
