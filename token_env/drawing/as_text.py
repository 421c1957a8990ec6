"""Draw an episode as text: the message and the tokens of the agent, coloured by adequacy."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from token_env.episodes.batch import Batch
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problem

RESET, BOLD, DIM, REVERSE = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m"
# Colours by rising cosine: xterm's red, orange, yellow, light green, green.
COLOURS = (160, 208, 220, 113, 34)
PLACEHOLDER = "·"  # shown for steps without a token yet
DISFLUENT = "!"  # marks a token more surprising than the budget
DIFFERENT = "^"  # marks a step at which answers differ


def draw_text(batch: Batch, row: int) -> str:
    """Return the episode of one row of a batch so far, with its totals, as text with escape sequences."""
    task = batch.dynamics.task
    step = int(batch.state.step[row])
    adequacy, penalty = float(batch.state.adequacy[row]), float(batch.state.fluency_penalty[row])
    header = f"{BOLD}{task.split} problem {batch.problems.ids[row]}   step {step} of {task.max_steps}{RESET}"
    totals = f"adequacy {adequacy:+.3f}   fluency penalty {penalty:.3f}   return {adequacy - penalty:+.3f}"
    return "\n".join(
        [header, *draw_words(batch.dynamics, batch.problem(row), {"said": batch.tokens[row, :step]}), totals]
    )


def draw_words(dynamics: Dynamics, problem: Problem, answers: Mapping[str, NDArray[np.int64]]) -> list[str]:
    """Return lines with the message above the tokens of one or more agents, wrapped at the width of the terminal.

    A token's colour shows the cosine of its meaning with the meaning that was due; the word that is due next is
    reversed; `!` marks a token more surprising than the budget, `^` a step at which the answers differ.

    Args:
        dynamics: Dynamics of the task.
        problem: Problem that the agents answer.
        answers: Tokens so far by title of their row, [t] each.
    """
    length, tokens = len(problem.message), list(answers.values())
    step = len(tokens[0])
    message = [dynamics.message_language.surface[token] for token in problem.message]
    rows = [message] + [_words(dynamics, problem, answer) + [PLACEHOLDER] * (length - step) for answer in tokens]
    styles = [
        [DIM if t < step else REVERSE if t == step else "" for t in range(length)],
        *(
            [*map(adequacy_colour, np.vecdot(dynamics.language.meaning[answer], problem.meanings[:step]))]
            + [DIM] * (length - step)
            for answer in tokens
        ),
    ]
    titles = ["message", *answers]
    if len(tokens) > 1:
        differs = np.any([answer != tokens[0] for answer in tokens], axis=0)
        titles.append("")
        rows.append([DIFFERENT * bool(place) for place in differs] + [""] * (length - step))
        styles.append([""] * length)
    return columns(titles, rows, styles)


def _words(dynamics: Dynamics, problem: Problem, tokens: NDArray[np.int64]) -> list[str]:
    """Return the words of tokens, [t], with marks of those more surprising than the budget."""
    language, previous = dynamics.language, np.concatenate([[problem.start], tokens])[: len(tokens)]
    disfluent = language.surprisal(previous, tokens) > dynamics.task.surprisal_budget
    return [language.surface[token] + DISFLUENT * bool(bad) for token, bad in zip(tokens, disfluent, strict=True)]


def adequacy_colour(cosine: float) -> str:
    """Return the escape sequence for a token, by the cosine of its meaning with the meaning that was due."""
    place = int(np.clip(cosine, 0.0, 1.0) * (len(COLOURS) - 1) + 0.5)
    return f"\x1b[38;5;{COLOURS[place]}m"


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of words aligned in columns, wrapped together at the width of the terminal.

    Args:
        titles: Title of each row.
        rows: Words of each row; all rows have the same number of words.
        styles: Escape sequence of each word.
    """
    width = terminal_width()
    indent = max(map(len, titles)) + 2
    widths = [max(map(cell_width, words)) + 1 for words in zip(*rows, strict=True)]
    lines: list[str] = []
    first = 0
    while first < len(widths):
        last, line_width = first + 1, indent + widths[first]
        while last < len(widths) and line_width + widths[last] <= width:
            line_width += widths[last]
            last += 1
        lines += [""] if lines else []
        for title, words, codes in zip(titles, rows, styles, strict=True):
            cells = [
                f"{codes[t] + words[t] + RESET if words[t] else ''}{' ' * (widths[t] - cell_width(words[t]))}"
                for t in range(first, last)
            ]
            line = f"{title:<{indent}}{''.join(cells)}".rstrip()
            lines += [line] if line else []
        first = last
    return lines


def terminal_width() -> int:
    """Return the number of columns of the terminal, or 100 if the output is not a terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def cell_width(text: str) -> int:
    """Return the number of columns that a terminal needs for a text: 2 for wide letters, 0 for combining marks."""
    return sum(_columns_of(letter) for letter in text)


def _columns_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def fit(text: str, width: int) -> str:
    """Return the text in exactly this number of columns: filled with spaces, or cut with an ellipsis."""
    if cell_width(text) > width:
        while cell_width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cell_width(text))


def print_text(text: str) -> None:
    """Print text, without colours if NO_COLOR is set or stdout is not a terminal; "?" for what it cannot encode."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    encoding = sys.stdout.encoding or "utf-8"
    shown = without_colours(text) if plain else text
    print(shown.encode(encoding, errors="replace").decode(encoding), flush=True)


def without_colours(text: str) -> str:
    """Return the text without this module's escape sequences."""
    for code in (RESET, BOLD, DIM, REVERSE, *(f"\x1b[38;5;{colour}m" for colour in COLOURS)):
        text = text.replace(code, "")
    return text
