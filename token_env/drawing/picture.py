"""Draw an episode as a picture: the message, the tokens of the agent, their similarity, and the return.

Columns are steps. From top to bottom: the words of the message and their meanings, one cell per dimension; the
tokens of the agent and their meanings; the cosine of the two meanings; the surprisal of each token; the running
return beside that of an optimal answer; for agents that plan, a table of each step's best tokens.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.canvas import PAPER, Canvas, Colour, ellipsize
from token_env.drawing.chart import CURRENT, INK, QUIET, draw_returns
from token_env.drawing.layout import (
    CHART_HEIGHT,
    EDGE,
    LEFT,
    NOTE_SIZE,
    ROW_HEIGHT,
    TITLE_SIZE,
    WORD_SIZE,
    Layout,
    make_layout,
    word_text,
)
from token_env.drawing.plan import StepLogits
from token_env.drawing.plan_panel import draw_plan, panel_height
from token_env.episodes.batch import Batch
from token_env.languages.language import Language
from token_env.rules.problems import Problem

Pixels = NDArray[np.uint8]

EMPTY = (240, 241, 244)  # colour of cells without a token yet
NEGATIVE, NEUTRAL, POSITIVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
NEAR, DISFLUENT = (26, 135, 72), (196, 30, 40)
SATURATION = 0.6  # components of a meaning from this size on have the full colour


def draw_pixels(batch: Batch, row: int, plan: Sequence[StepLogits] | None = None) -> Pixels:
    """Draw the episode of one row of a batch so far, uint8 [height, width, 3].

    The size depends on the task only, and on whether there is a plan.

    Args:
        batch: Batch with the episode.
        row: Row of the episode.
        plan: Logits of the steps so far, or also of the one that is due, to draw a table of each; None for no tables.
    """
    dynamics = batch.dynamics
    language, problem, step = dynamics.language, batch.problem(row), int(batch.state.step[row])
    tokens = batch.tokens[row, :step]
    layout = make_layout(language, len(problem.message))
    width, height = layout.size
    canvas = Canvas(width, height if plan is None else height + panel_height(layout))
    if step < layout.length:
        left = LEFT + step * layout.column_width
        canvas.rectangle(
            (left - 1, layout.tops[0] - layout.label_height),
            (left + layout.column_width, layout.tops[-1] + CHART_HEIGHT),
            CURRENT,
        )
    returns, optimal = batch.running_returns(row), batch.optimal_running_returns(row)
    _draw_title(canvas, layout, f"{dynamics.task.split} problem {batch.problems.ids[row]}", returns, optimal)
    surprisal = language.surprisal(np.concatenate([[problem.start], tokens])[:step], tokens)
    budget = dynamics.task.surprisal_budget
    _draw_message(canvas, layout, dynamics.message_language, problem, step)
    _draw_tokens(canvas, layout, language, tokens, surprisal > budget)
    _draw_cosines(canvas, layout, np.vecdot(language.meaning[tokens], problem.meanings[:step]))
    _draw_surprisals(canvas, layout, surprisal, budget)
    draw_returns(canvas, layout, returns, optimal)
    if plan is not None:
        draw_plan(canvas, layout, language, problem.message, plan, step)
    return canvas.pixels()


def _draw_title(
    canvas: Canvas, layout: Layout, title: str, returns: NDArray[np.float64], optimal: NDArray[np.float64]
) -> None:
    """Write the problem and step, and the return beside the optimum."""
    step, middle = len(returns), EDGE + TITLE_SIZE / 2
    current, optimum = (float(values[step - 1]) if step else 0.0 for values in (returns, optimal))
    by_now = f" ({optimum:+.2f} by now)" if step < layout.length else ""
    figures = f"return {current:+.2f}    optimum {optimal[-1]:+.2f}{by_now}"
    canvas.text((EDGE, middle), f"{title},  step {step} of {layout.length}", TITLE_SIZE, INK)
    canvas.text((layout.size[0] - EDGE, middle), figures, TITLE_SIZE, INK, "rm")


def _draw_message(canvas: Canvas, layout: Layout, language: Language, problem: Problem, step: int) -> None:
    """Draw the words of the message and their jittered meanings."""
    top = layout.tops[0]
    _draw_heading(canvas, top - 12, "message")
    for step_index, token in enumerate(problem.message):
        _draw_word(canvas, layout, step_index, top, language, int(token), INK if step_index >= step else QUIET)
    _draw_heading(canvas, top + 12, "meaning due", f"{layout.dimension} dimensions")
    canvas.cells(
        (LEFT, top), _diverging(problem.meanings.T.astype(np.float64)), layout.column_width, layout.cell_height, gap=1
    )
    scale = np.linspace(-SATURATION, SATURATION, 11)[None]
    canvas.cells((EDGE, top + 40), _diverging(scale), 8, 9)
    canvas.text((EDGE, top + 58), f"-{SATURATION}", NOTE_SIZE, QUIET)
    canvas.text((EDGE + 88, top + 58), f"+{SATURATION}", NOTE_SIZE, QUIET, "rm")


def _draw_tokens(
    canvas: Canvas, layout: Layout, language: Language, tokens: NDArray[np.int64], disfluent: NDArray[np.bool_]
) -> None:
    """Draw the tokens of the agent so far, red above the surprisal budget, and their meanings."""
    top = layout.tops[1]
    _draw_heading(canvas, top - 12, "said")
    for step_index, (token, is_disfluent) in enumerate(zip(tokens, disfluent, strict=True)):
        _draw_word(canvas, layout, step_index, top, language, int(token), DISFLUENT if is_disfluent else INK)
    _draw_heading(canvas, top + 12, "meaning said")
    colours = np.full((layout.dimension, layout.length, 3), EMPTY, dtype=np.float64)
    colours[:, : len(tokens)] = _diverging(language.meaning[tokens].T)
    canvas.cells((LEFT, top), colours, layout.column_width, layout.cell_height, gap=1)


def _draw_word(
    canvas: Canvas, layout: Layout, step_index: int, top: int, language: Language, token: int, colour: Colour
) -> None:
    """Draw a word above the column of its step; its rank if the font lacks its letters."""
    text = ellipsize(word_text(language, token), WORD_SIZE, layout.word_width)
    if layout.slanted:
        canvas.slanted_text((layout.middle(step_index), top - 3), text, WORD_SIZE, colour)
    else:
        canvas.text((layout.middle(step_index), top - 3 - WORD_SIZE / 2), text, WORD_SIZE, colour, "mm")


def _draw_cosines(canvas: Canvas, layout: Layout, cosine: NDArray[np.float64]) -> None:
    """Draw the cosines of the agent's meanings with those due; green is close."""
    strength = np.clip(cosine, 0.0, 1.0)[:, None]
    colours = np.array(NEUTRAL) + strength * (np.array(NEAR) - NEUTRAL)
    texts = ["<0" if value < 0 else f"{value:.2f}".replace("0.", ".") for value in cosine]
    inks = [PAPER if value > 0.6 else INK for value in cosine]
    _draw_heading(canvas, layout.tops[2] + ROW_HEIGHT // 2, "cosine of the two")
    _draw_numbers(canvas, layout, layout.tops[2], colours, texts, inks)


def _draw_surprisals(canvas: Canvas, layout: Layout, surprisal: NDArray[np.float64], budget: float) -> None:
    """Draw the surprisals of the agent's tokens in nats, red above the budget."""
    disfluent = surprisal > budget
    colours = np.where(disfluent[:, None], DISFLUENT, EMPTY).astype(np.float64)
    texts = [surprisal_text(float(value), budget) for value in surprisal]
    inks = [PAPER if is_disfluent else INK for is_disfluent in disfluent]
    _draw_heading(canvas, layout.tops[3] + ROW_HEIGHT // 2, "surprisal", f"red: above {budget:g} nats")
    _draw_numbers(canvas, layout, layout.tops[3], colours, texts, inks)


def surprisal_text(surprisal: float, budget: float) -> str:
    """Format nats to one decimal, rounded up above the budget and down within it, so that 5.04 is not shown as 5.0."""
    tenths = (math.ceil if surprisal > budget else math.floor)(surprisal * 10) / 10
    return f"{tenths:.1f}" if tenths < 10 else f"{tenths:.0f}"


def _draw_numbers(
    canvas: Canvas, layout: Layout, top: int, colours: NDArray[np.float64], texts: list[str], inks: list[Colour]
) -> None:
    """Draw a cell with a number for every token so far, [t], and empty cells for the rest."""
    filled = np.full((1, layout.length, 3), EMPTY, dtype=np.float64)
    filled[0, : len(colours)] = colours
    canvas.cells((LEFT, top), filled, layout.column_width, ROW_HEIGHT, gap=1)
    for step_index, (text, ink) in enumerate(zip(texts, inks, strict=True)):
        canvas.text((layout.middle(step_index) - 0.5, top + ROW_HEIGHT / 2), text, NOTE_SIZE, ink, "mm")


def _draw_heading(canvas: Canvas, middle: float, heading: str, note: str = "") -> None:
    """Write the name of a panel beside it, and a note below."""
    canvas.text((EDGE, middle), heading, WORD_SIZE, INK)
    canvas.text((EDGE, middle + WORD_SIZE + 2), note, NOTE_SIZE, QUIET)


def _diverging(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return colours [..., 3] of components of meanings [...]: blue is negative, red is positive."""
    strength = np.clip(np.abs(values), 0.0, SATURATION)[..., None] / SATURATION
    ends = np.where((values < 0)[..., None], NEGATIVE, POSITIVE)
    return NEUTRAL + strength * (ends - np.array(NEUTRAL))
