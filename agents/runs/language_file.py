"""Write a language to a safetensors file, and read it back."""

import json
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from token_env.errors import SettingError
from token_env.languages.language import ARRAYS, Language

TEXTS = ("surface", "recipe")  # what a language has beside its arrays


def is_stored(language: Language) -> bool:
    """Whether a run stores its language: any but a synthetic one, which its settings make again."""
    return language.recipe["kind"] != "synthetic"


def language_bytes(language: Language) -> bytes:
    """A language as a safetensors file: its arrays, and its words and recipe in UTF-8."""
    arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(getattr(language, name)) for name in ARRAYS}
    texts = ("\n".join(language.surface), json.dumps(dict(language.recipe)))
    arrays |= {name: np.frombuffer(text.encode(), np.uint8) for name, text in zip(TEXTS, texts, strict=True)}
    content: bytes = safetensors.numpy.save(arrays)
    return content


def read_language(content: bytes, source: str) -> Language:
    """The language in such a file.

    Raises:
        SettingError: it is damaged or holds something else.
    """
    try:
        arrays = safetensors.numpy.load(content)
        if arrays.keys() != {*ARRAYS, *TEXTS}:
            raise ValueError("it holds other arrays than those of a language")
        surface, recipe = (arrays.pop(name).tobytes().decode() for name in TEXTS)
        return Language(**arrays, surface=tuple(surface.split("\n")), recipe=json.loads(recipe))
    except (SafetensorError, SettingError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise SettingError(f"cannot read the language {source!r}: {str(error).rstrip('.')}.") from error
