"""Draw an episode as a picture: the message, what was said, how near the two are, what it earned.

Columns are steps. From above: the words of the message and their meanings, one cell a dimension; the words said and
their meanings; the cosine of the two meanings; the surprisal of each word said; the return so far, beside the best
answer's.
"""

import math

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.canvas import PAPER, Canvas, Colour, drawable, fitted
from token_env.drawing.chart import INK, QUIET, draw_returns
from token_env.drawing.layout import CHART, EDGE, LEFT, NOTE, ROW, TITLE, WORD, Layout, make_layout
from token_env.episodes.batch import Batch
from token_env.languages.language import Language
from token_env.rules.problems import Problem

Pixels = NDArray[np.uint8]

WAITING, HERE = (240, 241, 244), (222, 233, 250)  # cells of tokens not said yet; the column of the word that is due
NEGATIVE, NEUTRAL, POSITIVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
NEAR, DISFLUENT = (26, 135, 72), (196, 30, 40)
STRONGEST = 0.6  # a component of a meaning at least this large has the full colour


def draw_pixels(batch: Batch, row: int) -> Pixels:
    """The episode of this row of a batch so far, [height, width, 3]; the size depends on the task alone."""
    dynamics = batch.dynamics
    language, problem, step = dynamics.language, batch.problem(row), int(batch.state.step[row])
    said = batch.said[row, :step]
    layout = make_layout(language, len(problem.message))
    canvas = Canvas(*layout.size)
    if step < layout.length:
        left = LEFT + step * layout.column
        canvas.rectangle(
            (left - 1, layout.tops[0] - layout.words), (left + layout.column, layout.tops[-1] + CHART), HERE
        )
    returns, best = batch.running_returns(row), batch.optimal_running_returns(row)
    _draw_title(canvas, layout, f"{dynamics.task.split} problem {batch.problems.ids[row]}", returns, best)
    surprisal = language.surprisal(np.concatenate([[problem.start], said])[:step], said)
    budget = dynamics.task.surprisal_budget
    _draw_message(canvas, layout, dynamics.message_language, problem, step)
    _draw_said(canvas, layout, language, said, surprisal > budget)
    _draw_cosines(canvas, layout, np.vecdot(language.meaning[said], problem.meanings[:step]))
    _draw_surprisals(canvas, layout, surprisal, budget)
    draw_returns(canvas, layout, returns, best)
    return canvas.pixels()


def _draw_title(
    canvas: Canvas, layout: Layout, played: str, returns: NDArray[np.float64], best: NDArray[np.float64]
) -> None:
    """What is played and how far it is; what it earned, beside the optimum."""
    step, middle = len(returns), EDGE + TITLE / 2
    earned, optimum = (float(values[step - 1]) if step else 0.0 for values in (returns, best))
    by_now = f" ({optimum:+.2f} by now)" if step < layout.length else ""
    figures = f"return {earned:+.2f}    optimum {best[-1]:+.2f}{by_now}"
    canvas.text((EDGE, middle), f"{played},  step {step} of {layout.length}", TITLE, INK)
    canvas.text((layout.size[0] - EDGE, middle), figures, TITLE, INK, "rm")


def _draw_message(canvas: Canvas, layout: Layout, language: Language, problem: Problem, step: int) -> None:
    """The words that somebody composed, and their jittered meanings."""
    top = layout.tops[0]
    _draw_heading(canvas, top - 12, "message")
    for place, token in enumerate(problem.message):
        _draw_word(canvas, layout, place, top, language, int(token), INK if place >= step else QUIET)
    _draw_heading(canvas, top + 12, "meaning due", f"{layout.dimension} dimensions")
    canvas.cells((LEFT, top), _diverging(problem.meanings.T.astype(np.float64)), layout.column, layout.cell, gap=1)
    scale = np.linspace(-STRONGEST, STRONGEST, 11)[None]
    canvas.cells((EDGE, top + 40), _diverging(scale), 8, 9)
    canvas.text((EDGE, top + 58), f"-{STRONGEST}", NOTE, QUIET)
    canvas.text((EDGE + 88, top + 58), f"+{STRONGEST}", NOTE, QUIET, "rm")


def _draw_said(
    canvas: Canvas, layout: Layout, language: Language, said: NDArray[np.int64], disfluent: NDArray[np.bool_]
) -> None:
    """The tokens said so far, those beyond the budget in red, and their meanings."""
    top = layout.tops[1]
    _draw_heading(canvas, top - 12, "said")
    for place, (token, bad) in enumerate(zip(said, disfluent, strict=True)):
        _draw_word(canvas, layout, place, top, language, int(token), DISFLUENT if bad else INK)
    _draw_heading(canvas, top + 12, "meaning said")
    colours = np.full((layout.dimension, layout.length, 3), WAITING, dtype=np.float64)
    colours[:, : len(said)] = _diverging(language.meaning[said].T)
    canvas.cells((LEFT, top), colours, layout.column, layout.cell, gap=1)


def _draw_word(
    canvas: Canvas, layout: Layout, place: int, top: int, language: Language, token: int, colour: Colour
) -> None:
    """A word above the column of its step; its rank where the font lacks its letters."""
    text = fitted(drawable(language.surface[token]) or f"#{token}", WORD, layout.room)
    if layout.slanted:
        canvas.slanted_text((layout.middle(place), top - 3), text, WORD, colour)
    else:
        canvas.text((layout.middle(place), top - 3 - WORD / 2), text, WORD, colour, "mm")


def _draw_cosines(canvas: Canvas, layout: Layout, cosine: NDArray[np.float64]) -> None:
    """How near the meanings said are to those due: the greener, the nearer."""
    strength = np.clip(cosine, 0.0, 1.0)[:, None]
    colours = np.array(NEUTRAL) + strength * (np.array(NEAR) - NEUTRAL)
    texts = ["<0" if value < 0 else f"{value:.2f}".replace("0.", ".") for value in cosine]
    inks = [PAPER if value > 0.6 else INK for value in cosine]
    _draw_heading(canvas, layout.tops[2] + ROW // 2, "cosine of the two")
    _draw_numbers(canvas, layout, layout.tops[2], colours, texts, inks)


def _draw_surprisals(canvas: Canvas, layout: Layout, surprisal: NDArray[np.float64], budget: float) -> None:
    """How surprising the tokens said were, in nats: red beyond the budget."""
    disfluent = surprisal > budget
    colours = np.where(disfluent[:, None], DISFLUENT, WAITING).astype(np.float64)
    texts = [surprisal_text(float(value), budget) for value in surprisal]
    inks = [PAPER if bad else INK for bad in disfluent]
    _draw_heading(canvas, layout.tops[3] + ROW // 2, "surprisal", f"red: above {budget:g} nats")
    _draw_numbers(canvas, layout, layout.tops[3], colours, texts, inks)


def surprisal_text(surprisal: float, budget: float) -> str:
    """Nats to a tenth, rounded up beyond the budget and down within it, so that 5.04 is not shown as 5.0."""
    tenths = (math.ceil if surprisal > budget else math.floor)(surprisal * 10) / 10
    return f"{tenths:.1f}" if tenths < 10 else f"{tenths:.0f}"


def _draw_numbers(
    canvas: Canvas, layout: Layout, top: int, colours: NDArray[np.float64], texts: list[str], inks: list[Colour]
) -> None:
    """A cell with a number for every token said, [t]; empty cells for the rest."""
    filled = np.full((1, layout.length, 3), WAITING, dtype=np.float64)
    filled[0, : len(colours)] = colours
    canvas.cells((LEFT, top), filled, layout.column, ROW, gap=1)
    for place, (text, ink) in enumerate(zip(texts, inks, strict=True)):
        canvas.text((layout.middle(place) - 0.5, top + ROW / 2), text, NOTE, ink, "mm")


def _draw_heading(canvas: Canvas, middle: float, heading: str, note: str = "") -> None:
    """The name of a panel beside it, and a remark below."""
    canvas.text((EDGE, middle), heading, WORD, INK)
    canvas.text((EDGE, middle + WORD + 2), note, NOTE, QUIET)


def _diverging(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours [..., 3] of components of meanings, [...]: blue negative, red positive."""
    strength = np.clip(np.abs(values), 0.0, STRONGEST)[..., None] / STRONGEST
    ends = np.where((values < 0)[..., None], NEGATIVE, POSITIVE)
    return NEUTRAL + strength * (ends - np.array(NEUTRAL))
