"""Generate a synthetic language from its size and seed; the result is the same on every machine."""

from functools import lru_cache
from itertools import islice, product

import numpy as np

from token_env.errors import SettingError
from token_env.languages.language import MIN_VOCAB, Language, log_normalized, unit
from token_env.languages.philox import PhiloxWords, normal

VERSION = 1
DIMENSION = 16  # d
KAPPA = 8.0  # κ: influence of the context on the next token
ZIPF_OFFSET = 3.7


@lru_cache(maxsize=8)
def synthetic(vocab_size: int, seed: int = 0) -> Language:
    """Return the synthetic language of this size and seed: Zipf-Mandelbrot frequencies and random directions.

    `o` is uniform on the unit sphere, drawn in rank order, so that a smaller language of the same seed is a prefix of
    a larger one; `q_a = κ R o_a` with R a random rotation, drawn first; `u_r ∝ 1 / (r + 3.7)`.

    Raises:
        SettingError: Fewer than 2 tokens.
    """
    if vocab_size < MIN_VOCAB:
        raise SettingError(f"vocab_size is {vocab_size}; a language has at least {MIN_VOCAB} tokens.")
    vocab_size, seed = int(vocab_size), int(seed)  # NumPy integers are not valid in the JSON recipe
    recipe = {
        "kind": "synthetic",
        "version": VERSION,
        "seed": seed,
        "vocab_size": vocab_size,
        "dimension": DIMENSION,
        "kappa": KAPPA,
    }
    words = PhiloxWords("synthetic language", str(VERSION), str(seed))
    draws = normal(words.draw((DIMENSION + vocab_size) * DIMENSION).reshape(-1, DIMENSION))
    rotation, triangle = np.linalg.qr(draws[:DIMENSION])
    rotation *= np.sign(np.diag(triangle))
    output = unit(draws[DIMENSION:])
    return Language(
        log_unigram=log_normalized(-np.log(np.arange(vocab_size) + ZIPF_OFFSET)),
        context=KAPPA * np.einsum("vd,ed->ve", output, rotation),
        output=output,
        meaning=output,
        surface=pseudo_words(vocab_size),
        recipe=recipe,
    )


def pseudo_words(count: int) -> tuple[str, ...]:
    """Return pronounceable words for the ranks 0 … count-1, short ones first."""
    syllables = [consonant + vowel for vowel in "aeiou" for consonant in "tnsrlkdmpbgvfzh"]
    words: list[str] = []
    length = 1
    while len(words) < count:
        words.extend("".join(parts) for parts in islice(product(syllables, repeat=length), count - len(words)))
        length += 1
    return tuple(words)
