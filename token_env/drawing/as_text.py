"""Draw an episode as text: the message and the tokens of the agent, coloured by adequacy."""

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
# Colours by rising cosine: xterm's red, orange, yellow, light green, green.
COLOURS = (160, 208, 220, 113, 34)
PLACEHOLDER = "·"  # shown for steps without a token yet
DISFLUENT = "!"  # marks a token more surprising than the budget


def draw_text(batch: Batch, row: int) -> str:
    """Return the episode of one row of a batch so far, with its totals, as text with escape sequences."""
    task = batch.dynamics.task
    step = int(batch.state.step[row])
    adequacy, penalty = float(batch.state.adequacy[row]), float(batch.state.fluency_penalty[row])
    header = f"{BOLD}{task.split} problem {batch.problems.ids[row]}   step {step} of {task.max_steps}{RESET}"
    totals = f"adequacy {adequacy:+.3f}   fluency penalty {penalty:.3f}   return {adequacy - penalty:+.3f}"
    return "\n".join([header, *draw_words(batch.dynamics, batch.problem(row), batch.tokens[row, :step]), totals])


def draw_words(dynamics: Dynamics, problem: Problem, tokens: NDArray[np.int64]) -> list[str]:
    """Return lines with the message above the tokens of the agent, [t], wrapped at the width of the terminal.

    A token's colour shows the cosine of its meaning with the meaning that was due; the word that is due next is
    reversed; `!` marks a token more surprising than the budget.
    """
    language, length, step = dynamics.language, len(problem.message), len(tokens)
    cosine = np.vecdot(language.meaning[tokens], problem.meanings[:step])
    previous = np.concatenate([[problem.start], tokens])[:step]
    disfluent = language.surprisal(previous, tokens) > dynamics.task.surprisal_budget
    message = [dynamics.message_language.surface[token] for token in problem.message]
    agent_words = [
        language.surface[token] + DISFLUENT * bool(bad) for token, bad in zip(tokens, disfluent, strict=True)
    ]
    rows = (message, agent_words + [PLACEHOLDER] * (length - step))
    styles = (
        [DIM if t < step else REVERSE if t == step else "" for t in range(length)],
        [adequacy_colour(float(c)) for c in cosine] + [DIM] * (length - step),
    )
    return columns(("message", "said"), rows, styles)


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
    width = shutil.get_terminal_size((100, 24)).columns
    indent = max(map(len, titles)) + 2
    widths = [max(map(len, words)) + 1 for words in zip(*rows, strict=True)]
    lines: list[str] = []
    first = 0
    while first < len(widths):
        last, line_width = first + 1, indent + widths[first]
        while last < len(widths) and line_width + widths[last] <= width:
            line_width += widths[last]
            last += 1
        lines += [""] if lines else []
        for title, words, codes in zip(titles, rows, styles, strict=True):
            cells = [f"{codes[t]}{words[t]}{RESET}{' ' * (widths[t] - len(words[t]))}" for t in range(first, last)]
            lines.append(f"{title:<{indent}}{''.join(cells)}".rstrip())
        first = last
    return lines


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
