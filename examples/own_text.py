"""Make a language from your own text: print neighbouring words, and the greedy policy's answers to some messages.

Shows `find_language("text:FILE", …)`, the arrays of a language, and `evaluate` with a reference policy. The default
text is Python's own documentation:

    python -m examples.own_text [FILE]
"""

import sys
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from token_env import REFERENCES, Dynamics, Language, Task, evaluate, find_language

WORDS_SHOWN = 6  # words whose neighbours are printed
NEIGHBOURS = 5  # neighbours per word
MESSAGE_WORDS = 14  # words per message


def main(file: str | None = None, vocab_size: int = 1000, episodes: int = 3) -> Language:
    """Print the neighbours of a few words and some episodes, and return the language."""
    if file is None:
        with tempfile.TemporaryDirectory() as directory:
            language = find_language(f"text:{_python_documentation(Path(directory))}", vocab_size)
    else:
        language = find_language(f"text:{file}", vocab_size)
    print(f"{language.vocab_size} words, the commonest: {' '.join(language.surface[:12])}\n")
    for word in np.linspace(10, language.vocab_size - 1, WORDS_SHOWN).astype(int):
        nearest = np.argsort(-language.meaning @ language.meaning[word])[1 : NEIGHBOURS + 1]
        print(f"{language.surface[word]:>14} is near {', '.join(language.surface[other] for other in nearest)}")
    task = Task(vocab_size=vocab_size, max_steps=MESSAGE_WORDS, language=language, split="test")
    evaluation = evaluate(REFERENCES["greedy"], range(episodes), task=task)
    messages = Dynamics(task).problems.draw(evaluation.problem_ids).message
    for message, answer, total in zip(messages, evaluation.actions, evaluation.returns, strict=True):
        print(f"\nmessage  {_words(language, message)}\ngreedy   {_words(language, answer)}\nreturn   {total:+.2f}")
    return language


def _python_documentation(directory: Path) -> Path:
    file = directory / "python_documentation.txt"
    file.write_text("\n".join(topics.values()), encoding="utf-8")
    return file


def _words(language: Language, tokens: NDArray[np.int64]) -> str:
    return " ".join(language.surface[token] for token in tokens)


if __name__ == "__main__":
    main(*sys.argv[1:2])
