"""Draw an episode as text: the message, what is due, what was said, coloured by adequacy."""

import os
import shutil
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from token_env.episodes.batch import Batch
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problem

RESET, BOLD, DIM, REVERSE = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m"
# From far off to the very meaning: xterm's red, orange, yellow, light green, green.
COLOURS = (160, 208, 220, 113, 34)
WAITING = "·"  # in the place of a token not said yet
DISFLUENT = "!"  # after a token more surprising than the budget


def draw_text(batch: Batch, row: int) -> str:
    """The episode of this row of a batch so far, with its totals."""
    task = batch.dynamics.task
    step = int(batch.state.step[row])
    adequacy, penalty = float(batch.state.adequacy[row]), float(batch.state.fluency_penalty[row])
    header = f"{BOLD}{task.split} problem {batch.problems.ids[row]}   step {step} of {task.max_steps}{RESET}"
    totals = f"adequacy {adequacy:+.3f}   fluency penalty {penalty:.3f}   return {adequacy - penalty:+.3f}"
    return "\n".join([header, *draw_words(batch.dynamics, batch.problem(row), batch.said[row, :step]), totals])


def draw_words(dynamics: Dynamics, problem: Problem, said: NDArray[np.int64]) -> list[str]:
    """The message above the tokens said for it, [t], in columns as wide as the terminal.

    A token's colour tells how near its meaning is to the one that was due; the word that is due next is
    reversed; `!` marks a token more surprising than the budget.
    """
    language, length, step = dynamics.language, len(problem.message), len(said)
    cosine = np.vecdot(language.meaning[said], problem.meanings[:step])
    before = np.concatenate([[problem.start], said])[:step]
    disfluent = language.surprisal(before, said) > dynamics.task.surprisal_budget
    message = [dynamics.message_language.surface[token] for token in problem.message]
    spoken = [language.surface[token] + DISFLUENT * bool(bad) for token, bad in zip(said, disfluent, strict=True)]
    rows = (message, spoken + [WAITING] * (length - step))
    styles = (
        [DIM if t < step else REVERSE if t == step else "" for t in range(length)],
        [adequacy_colour(float(c)) for c in cosine] + [DIM] * (length - step),
    )
    return columns(("message", "said"), rows, styles)


def adequacy_colour(cosine: float) -> str:
    """The escape sequence for a token whose meaning has this cosine with the meaning that was due."""
    place = int(np.clip(cosine, 0.0, 1.0) * (len(COLOURS) - 1) + 0.5)
    return f"\x1b[38;5;{COLOURS[place]}m"


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words set one above the other in columns, wrapped together at the width of the terminal."""
    width = shutil.get_terminal_size((100, 24)).columns
    indent = max(map(len, titles)) + 2
    widths = [max(map(len, words)) + 1 for words in zip(*rows, strict=True)]
    lines: list[str] = []
    first = 0
    while first < len(widths):
        last, used = first + 1, indent + widths[first]
        while last < len(widths) and used + widths[last] <= width:
            used += widths[last]
            last += 1
        lines += [""] if lines else []
        for title, words, looks in zip(titles, rows, styles, strict=True):
            cells = [f"{looks[t]}{words[t]}{RESET}{' ' * (widths[t] - len(words[t]))}" for t in range(first, last)]
            lines.append(f"{title:<{indent}}{''.join(cells)}".rstrip())
        first = last
    return lines


def print_text(text: str) -> None:
    """Print text, without its colours where they are not wanted (NO_COLOR) or not shown (no terminal)."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    print(without_colours(text) if plain else text, flush=True)


def without_colours(text: str) -> str:
    """The text without this module's escape sequences."""
    for code in (RESET, BOLD, DIM, REVERSE, *(f"\x1b[38;5;{colour}m" for colour in COLOURS)):
        text = text.replace(code, "")
    return text
