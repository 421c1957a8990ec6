"""Speak English: the 5,000 words that come with the package, fitted beforehand from WordNet's glosses."""

import hashlib
import io
from functools import lru_cache
from pathlib import Path

import numpy as np

from token_env.errors import SettingError
from token_env.languages.language import Language, log_normalized, unit

VERSION = 1
BUNDLE = Path(__file__).parents[1] / "data" / "english.npz"  # written by fit_english.py
SHA256 = "9cc4cdcade7166cb2e4851b6ab34a4a9465b7413e5b0fb79fc48a6e7a0ba056a"  # of the bundle
UNIT = 2.0**-12  # what 1 stands for in the bundle's vectors of 16-bit integers, of which the longest is 4.9
REINSTALL = "reinstall tokentask, or in a clone type git checkout token_env/data"


@lru_cache(maxsize=8)
def english(vocab_size: int) -> Language:
    """English of the `vocab_size` most frequent words. Sizes nest: all are cut from the one of 5,000 words.

    Raises:
        SettingError: fewer than 2 words asked for, or more than 5,000; a bundle that is missing or damaged.
    """
    return read_bundle(BUNDLE).truncate(vocab_size)


def read_bundle(path: Path) -> Language:
    """The language in the bundled file; its fingerprint hashes the file.

    The file holds whole numbers only, and what is made of them here is exact but for the logarithm: `surface`
    (the words, one a line, in UTF-8), `counts` [V], and `context` and `output` [V, d] in multiples of UNIT.

    Raises:
        SettingError: the file is missing, or not the one that this version of the package came with.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingError(f"cannot read the bundled English {str(path)!r}; {REINSTALL}.") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SettingError(f"the bundled English {str(path)!r} is damaged; {REINSTALL}.")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        words = tuple(archive["surface"].tobytes().decode().split("\n"))
        counts, context, output = (archive[name].astype(np.float64) for name in ("counts", "context", "output"))
    recipe = {"kind": "english", "version": VERSION, "vocab_size": len(words), "sha256": SHA256}
    return Language(log_normalized(np.log(counts)), context * UNIT, unit(output), unit(output), words, recipe)
