"""Find a language by name: "synthetic", "english" or "text:PATH"; a `Language` is accepted, too."""

from pathlib import Path

from token_env.errors import SettingError, unknown_name
from token_env.languages import english, synthetic, text
from token_env.languages.language import Language

NAMES = ("synthetic", "english", "text:PATH")


def find_language(language: str | Language, vocab_size: int, seed: int = 0) -> Language:
    """Return the language of this name with `vocab_size` tokens.

    English and a `Language` are truncated to `vocab_size`. A text is fitted at `vocab_size`, so a smaller vocabulary is
    not a prefix of a larger one.

    Args:
        language: "synthetic", "english", "text:PATH" or a `Language`.
        vocab_size: Number of tokens V.
        seed: Seed of the synthetic language; ignored for the others.

    Raises:
        SettingError: An unknown name, a text that cannot be fitted, or more tokens than the language has.
    """
    if isinstance(language, Language):
        return language.truncate(vocab_size)
    if not isinstance(language, str):
        raise SettingError(f"language is a name or a token_env.Language, {language!r} was given.")
    kind, _, path = language.partition(":")
    if kind == "text" and path:
        return text.from_file(Path(path), vocab_size)
    if language == "synthetic":
        return synthetic.synthetic(vocab_size, seed)
    if language == "english":
        return english.english(vocab_size)
    raise unknown_name("language", language, NAMES)
