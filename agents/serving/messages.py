"""Turn what a client sends into a message: words, meanings, or the id of a problem."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.serving.deployment import Deployment
from token_env.errors import SettingError, did_you_mean, shortened
from token_env.languages.corpus import split_words
from token_env.languages.language import Language
from token_env.rules import rows as row_fields
from token_env.rules.problems import BLOCK, Problems

START = 0  # token before the message of a client: the most frequent one
KEPT_BLOCKS = 256  # blocks of problems in memory, about 5 MB
MAX_WORD = 40  # characters of a word for which similar words are looked up


class Message(NamedTuple):
    """A message of T words; a problem that is known by its id alone is drawn later, together with others."""

    length: int  # T
    problem_id: int | None  # id of the problem, or None
    problems: Problems | None  # one row, or None if the id says it all


def from_problem(deployment: Deployment, problem_id: int) -> Message:
    """Return the message of a problem of the test split.

    Raises:
        SettingError: The id is outside the split.
    """
    deployment.dynamics.problems.validate_ids(problem_id)
    return Message(deployment.task.max_steps, problem_id, None)


def from_text(deployment: Deployment, text: str) -> Message:
    """Return the message of a text in the words of the models' language.

    Raises:
        SettingError: No words, too many, or words that the language does not have.
    """
    language = deployment.dynamics.message_language
    ids = _ids_of(language)
    words = [word for piece in text.split() for word in ([piece] if piece in ids else split_words(piece))]
    _check_length(deployment, len(words), "words")
    unknown = [word for word in dict.fromkeys(words) if word not in ids]
    if unknown:
        names = ", ".join(map(shortened, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        suggestion = did_you_mean(unknown[0], ids) if len(unknown[0]) <= MAX_WORD else ""
        raise SettingError(f"not among the {language.vocab_size:,} words of the language: {names}.{suggestion}")
    tokens = np.array([ids[word] for word in words])
    return _message(language, tokens, np.clip(language.meaning[tokens], -1.0, 1.0))


def from_meanings(deployment: Deployment, vectors: list[list[float]]) -> Message:
    """Return the message of these meanings, which are scaled to length 1; each pays what the nearest word pays.

    Raises:
        SettingError: No meanings, too many, of another dimension, or without a direction.
    """
    language = deployment.dynamics.message_language
    _check_length(deployment, len(vectors), "meanings")
    if {len(vector) for vector in vectors} != {language.dimension}:
        raise SettingError(f"a meaning has {language.dimension} numbers, that is the dimension of the language.")
    meanings = np.array(vectors, dtype=np.float64)
    largest = np.abs(meanings).max(axis=1, keepdims=True)
    if not (np.isfinite(meanings).all() and (largest > 0).all()):
        raise SettingError("a meaning is a direction: finite numbers that are not all 0.")
    meanings /= largest  # so that no square overflows
    meanings /= np.linalg.norm(meanings, axis=1, keepdims=True)
    return _message(language, language.nearest(meanings), np.clip(meanings, -1.0, 1.0))


class ProblemCache:
    """The problems of a deployment by their ids; blocks of ids that were drawn lately are kept.

    Args:
        deployment: The deployment.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._sampler, self._length = deployment.dynamics.problems, deployment.task.max_steps
        self._blocks: dict[int, Problems] = {}

    def rows(self, messages: list[Message]) -> Problems:
        """Return the problems of these messages, [N], each padded with zeros to the length of the task."""
        ids = [message.problem_id for message in messages if message.problem_id is not None]
        self._draw(sorted({problem_id // BLOCK for problem_id in ids}))
        rows = [self._row(message) for message in messages]
        for oldest in list(self._blocks)[:-KEPT_BLOCKS]:
            del self._blocks[oldest]
        return Problems(*(np.concatenate(field) for field in zip(*rows, strict=True)))

    def _draw(self, blocks: list[int]) -> None:
        missing = [block for block in blocks if block not in self._blocks]
        if missing:
            drawn = self._sampler.draw_blocks(np.array(missing))
            for place, block in enumerate(missing):
                self._blocks[block] = row_fields.take(drawn, slice(place * BLOCK, (place + 1) * BLOCK))

    def _row(self, message: Message) -> Problems:
        if message.problem_id is None:
            assert message.problems is not None
            return _padded(message.problems, self._length)
        place = message.problem_id % BLOCK
        return row_fields.take(self._blocks[message.problem_id // BLOCK], slice(place, place + 1))


def _message(language: Language, tokens: NDArray[np.int64], meanings: NDArray[np.float64]) -> Message:
    row = Problems(
        ids=np.array([-1]),
        start=np.array([START]),
        message=tokens[None],
        meanings=meanings.astype(np.float32)[None],
        weights=language.payment[tokens][None],
    )
    return Message(len(tokens), None, row)


def _padded(row: Problems, length: int) -> Problems:
    missing = length - row.message.shape[1]
    if not missing:
        return row
    ends = (0, 0), (0, missing)
    return row._replace(
        message=np.pad(row.message, ends),
        weights=np.pad(row.weights, ends),
        meanings=np.pad(row.meanings, (*ends, (0, 0))),
    )


def _check_length(deployment: Deployment, length: int, noun: str) -> None:
    longest = deployment.task.max_steps
    if not 1 <= length <= longest:
        raise SettingError(f"the message has {length:,} {noun}; it must have from 1 to {longest}.")


_word_ids: dict[str, dict[str, int]] = {}  # by fingerprint of the language


def _ids_of(language: Language) -> dict[str, int]:
    """Return the tokens of a language by their words; the most frequent token of equal words."""
    if language.fingerprint not in _word_ids:
        _word_ids.clear()  # one language is in use, and for the time of a change two
        ranked = enumerate(language.surface)
        _word_ids[language.fingerprint] = {word: token for token, word in reversed(list(ranked))}
    return _word_ids[language.fingerprint]
