"""Draw how a policy weighs the tokens of each step in the picture of an episode: one small table a step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from token_env.drawing.canvas import Canvas, Colour, Point, ellipsize
from token_env.drawing.chart import CURRENT, GRID, INK, QUIET
from token_env.drawing.layout import EDGE, GAP, LEFT, NOTE_SIZE, WORD_SIZE, Layout, word_text
from token_env.drawing.plan import HEADINGS, MAX_ROWS, Candidate, StepLogits, candidates
from token_env.languages.language import Language

TABLE_GAP, LINE_HEIGHT = 14, 15  # pixels
TABLE_HEIGHT = (1 + MAX_ROWS) * LINE_HEIGHT + 8
RANK_RIGHT, WORD_LEFT = 38, 44  # pixels from the left end of a table
NUMBER_WIDTH = 42  # pixels
NOTES = ("now: logit at once", "next: the plan adds", "total: their sum, nats", "blue: chosen", "*: word due, its rank")


def panel_height(layout: Layout) -> int:
    """Return the height of the panel in pixels; even, as that of the picture."""
    rows = -(-layout.length // _across(layout))
    height = 2 * GAP + rows * TABLE_HEIGHT
    return height + height % 2


def _across(layout: Layout) -> int:
    widest_word = layout.word_width * NOTE_SIZE // WORD_SIZE
    needed = WORD_LEFT + widest_word + len(HEADINGS) * NUMBER_WIDTH + TABLE_GAP
    return max(1, (layout.size[0] - LEFT - EDGE + TABLE_GAP) // needed)


def draw_plan(
    canvas: Canvas,
    layout: Layout,
    language: Language,
    message: NDArray[np.int64],
    steps: Sequence[StepLogits],
    current: int,
) -> None:
    """Draw a table for each of the first steps, below everything else.

    Args:
        canvas: Canvas that is higher than the layout's size by `panel_height`.
        layout: Layout of the picture.
        language: Language of the tokens.
        message: Ids of the words that are due, [L].
        steps: Logits of the first steps.
        current: Number of the step that is due next, whose table is marked as its column is; steps count from 0.
    """
    across, top = _across(layout), layout.size[1] - EDGE + 2 * GAP
    width = (layout.size[0] - LEFT - EDGE + TABLE_GAP) // across
    canvas.text((EDGE, top + LINE_HEIGHT / 2), "best tokens", WORD_SIZE, INK)
    for line, note in enumerate(NOTES, start=1):
        canvas.text((EDGE, top + 2 + (line + 0.5) * LINE_HEIGHT), note, NOTE_SIZE, QUIET)
    for step, logits in enumerate(steps):
        corner = LEFT + step % across * width, top + step // across * TABLE_HEIGHT
        if step == current:
            canvas.rectangle((corner[0] - 4, corner[1]), (corner[0] + width - TABLE_GAP + 4, corner[1] + 1), INK)
        _draw_table(canvas, corner, width - TABLE_GAP, language, step, int(message[step]), logits)


def _draw_table(
    canvas: Canvas, corner: Point, width: int, language: Language, step: int, due: int, logits: StepLogits
) -> None:
    left, middle = corner[0], corner[1] + LINE_HEIGHT / 2
    title = ellipsize(f"step {step + 1}: {word_text(language, due)}", NOTE_SIZE, width - len(HEADINGS) * NUMBER_WIDTH)
    canvas.text((left, middle), title, NOTE_SIZE, INK)
    _draw_numbers(canvas, (left + width, middle), HEADINGS, QUIET)
    canvas.line((left, corner[1] + LINE_HEIGHT), (left + width - 1, corner[1] + LINE_HEIGHT), GRID)
    for line, candidate in enumerate(candidates(logits, due), start=1):
        _draw_row(canvas, (left, corner[1] + 1 + line * LINE_HEIGHT), width, language, candidate)


def _draw_row(canvas: Canvas, corner: Point, width: int, language: Language, candidate: Candidate) -> None:
    left, middle = corner[0], corner[1] + LINE_HEIGHT / 2
    if candidate.chosen:
        canvas.rectangle(corner, (left + width, corner[1] + LINE_HEIGHT), CURRENT)
    if candidate.due:
        canvas.text((left + 2, middle + 2), "*", WORD_SIZE, INK)
    canvas.text((left + RANK_RIGHT, middle), str(candidate.rank), NOTE_SIZE, QUIET, "rm")
    room = width - WORD_LEFT - len(HEADINGS) * NUMBER_WIDTH
    word = ellipsize(word_text(language, candidate.token), NOTE_SIZE, room)
    canvas.text((left + WORD_LEFT, middle), word, NOTE_SIZE, INK)
    _draw_numbers(canvas, (left + width, middle), candidate.numbers, INK)


def _draw_numbers(canvas: Canvas, right_middle: Point, texts: Sequence[str], colour: Colour) -> None:
    right, middle = right_middle
    for place, text in enumerate(reversed(texts)):
        canvas.text((right - 2 - place * NUMBER_WIDTH, middle), text, NOTE_SIZE, colour, "rm")
