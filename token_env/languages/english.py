"""Load English: 5,000 words bundled with the package, fitted to the glosses of WordNet."""

import hashlib
import io
from functools import lru_cache
from pathlib import Path

import numpy as np

from token_env.errors import SettingError
from token_env.languages.language import Language, log_normalized, unit

VERSION = 1
BUNDLE = Path(__file__).parents[1] / "data" / "english.npz"  # written by fit_english.py
SHA256 = "9cc4cdcade7166cb2e4851b6ab34a4a9465b7413e5b0fb79fc48a6e7a0ba056a"  # checksum of the bundle
RESOLUTION = 2.0**-12  # value of 1 in the bundle's 16-bit vectors; the longest vector has length 4.9
REINSTALL = "reinstall tokentask, or in a clone type git checkout token_env/data"


@lru_cache(maxsize=8)
def english(vocab_size: int) -> Language:
    """Return English with the `vocab_size` most frequent words; every size is a prefix of the 5,000 bundled words.

    Raises:
        SettingError: Fewer than 2 or more than 5,000 words, or a bundle that is missing or damaged.
    """
    return read_bundle(BUNDLE).truncate(vocab_size)


def read_bundle(path: Path) -> Language:
    """Read the language from the bundled file; its fingerprint hashes the file.

    The file holds integers only, and all values derived from them are exact except the logarithm: `surface`
    (one word per line, UTF-8), `counts` [V], and `context` and `output` [V, d] in multiples of RESOLUTION.

    Raises:
        SettingError: The file is missing, or differs from the one of this package version.
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
    return Language(log_normalized(np.log(counts)), context * RESOLUTION, unit(output), unit(output), words, recipe)
