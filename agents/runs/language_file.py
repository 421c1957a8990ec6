"""Write a language to a safetensors file, and read it back."""

import json
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from agents.settings.schema import Settings
from token_env.errors import SettingError
from token_env.languages.language import ARRAYS, Language

TEXTS = ("surface", "recipe")  # fields of a language that are not arrays


def is_stored(settings: Settings) -> bool:
    """Return whether a run stores its language. A synthetic language is not stored: the settings rebuild it."""
    return settings.env.language != "synthetic"


def language_bytes(language: Language) -> bytes:
    """Return a language as a safetensors file: its arrays, and its words and recipe in UTF-8."""
    arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(getattr(language, name)) for name in ARRAYS}
    texts = ("\n".join(language.surface), json.dumps(dict(language.recipe)))
    arrays |= {name: np.frombuffer(text.encode(), np.uint8) for name, text in zip(TEXTS, texts, strict=True)}
    content: bytes = safetensors.numpy.save(arrays)
    return content


def read_language(content: bytes, source: str) -> Language:
    """Read a language from the content of its file.

    Args:
        content: Content of a safetensors file that `language_bytes` made.
        source: Name of the file, for error messages.

    Raises:
        SettingError: The content is damaged or not a language.
    """
    try:
        arrays = safetensors.numpy.load(content)
        if arrays.keys() != {*ARRAYS, *TEXTS}:
            raise ValueError("its arrays are not those of a language")
        surface, recipe = (arrays.pop(name).tobytes().decode() for name in TEXTS)
        return Language(**arrays, surface=tuple(surface.split("\n")), recipe=json.loads(recipe))
    except (SafetensorError, SettingError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise SettingError(f"cannot read the language {source!r}: {str(error).rstrip('.')}.") from error
