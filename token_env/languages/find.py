"""Find a language by its name: "synthetic", "english", "text:PATH", or a Language that is at hand."""

from pathlib import Path

from token_env.errors import SettingError, unknown_name
from token_env.languages import english, synthetic, text
from token_env.languages.language import Language

KNOWN = ("synthetic", "english", "text:PATH")


def find_language(language: str | Language, vocab_size: int, seed: int = 0) -> Language:
    """The language of this name, with `vocab_size` tokens.

    A `Language` and English are truncated; a text is fitted at `vocab_size` itself, so its sizes do not nest.
    `seed` chooses among synthetic languages only.

    Raises:
        SettingError: an unknown name, a text that cannot be fitted, more tokens than the language has.
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
    raise unknown_name("language", language, KNOWN)
