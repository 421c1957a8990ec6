"""Draw how a policy weighs the tokens of each step as text: small tables, side by side."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.as_text import BOLD, DIM, RESET, REVERSE, cell_width, fit, terminal_width
from token_env.drawing.plan import HEADINGS, Candidate, StepLogits, candidates
from token_env.languages.language import Language

SPACE = 2  # columns between tables
MARKS, RANK, NUMBER = 2, 4, 7  # columns of the marks, of a rank, and of a number with the space before it
MIN_WORD, MAX_WORD = 10, 20  # columns of words, if the terminal has room
LEGEND = """
> chosen, * the word due, with its rank if it is not among the five best
now: logit of the token, next: what the plan adds for the words after it,
total: their sum, by which tokens are chosen (nats)"""


def step_table(language: Language, step: int, due: int, logits: StepLogits, word_width: int = MAX_WORD) -> list[str]:
    """Return a table of the best tokens of one step, as lines of equal width with escape sequences.

    Args:
        language: Language of the tokens.
        step: Number of the step; steps count from 0.
        due: Id of the word that is due.
        logits: Logits of the step.
        word_width: Columns of words; longer ones are cut.
    """
    title = fit(f"step {step + 1}: {language.surface[due]}", MARKS + RANK + 1 + word_width)
    headings = "".join(f"{heading:>{NUMBER}}" for heading in HEADINGS)
    rows = [_row(language, candidate, word_width) for candidate in candidates(logits, due)]
    return [f"{BOLD}{title}{RESET}{DIM}{headings}{RESET}", *rows]


def _row(language: Language, candidate: Candidate, word_width: int) -> str:
    marks = ">" * candidate.chosen + "*" * candidate.due
    word = fit(language.surface[candidate.token], word_width)
    numbers = "".join(f"{number:>{NUMBER}}" for number in candidate.numbers)
    line = f"{marks:<{MARKS}}{candidate.rank:>{RANK}} {word}{numbers}"
    return f"{REVERSE}{line}{RESET}" if candidate.chosen else line


def plan_text(language: Language, message: NDArray[np.int64], steps: Sequence[StepLogits]) -> str:
    """Return the tables of these steps, side by side as far as the terminal's width allows.

    Args:
        language: Language of the tokens.
        message: Ids of the words that are due, [L].
        steps: Logits of the first steps.
    """
    fixed = MARKS + RANK + 1 + len(HEADINGS) * NUMBER
    width = max(terminal_width(), fixed + MIN_WORD)
    across = max(1, (width + SPACE) // (fixed + MIN_WORD + SPACE))
    room = (width + SPACE) // across - SPACE - fixed
    word_width = min(room, MAX_WORD, max(MIN_WORD, *map(cell_width, language.surface)))
    tables = [step_table(language, t, int(message[t]), logits, word_width) for t, logits in enumerate(steps)]
    empty = " " * (fixed + word_width)
    lines: list[str] = []
    for first in range(0, len(tables), across):
        group = zip_longest(*tables[first : first + across], fillvalue=empty)
        lines += ["", *((" " * SPACE).join(cells).rstrip() for cells in group)]
    return "\n".join(lines)
