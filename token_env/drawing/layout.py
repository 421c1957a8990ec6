"""Lay out the picture of an episode: positions of panels and columns, in pixels."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from token_env.drawing.canvas import SLANT, text_width, transliterate, word_height
from token_env.languages.language import Language

TITLE_SIZE, WORD_SIZE, NOTE_SIZE = 18, 14, 12  # font sizes
LEFT, EDGE, GAP = 142, 14, 16  # pixels left of the columns, around the picture, between panels
MIN_WIDTH = 720  # pixels of the picture; leaves room for the title
COLUMNS_WIDTH = 1080  # pixels of all columns together, within the limits of one column
MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH = 20, 72  # pixels
MAX_WORD_WIDTH = 92  # pixels; longer words are shortened
HEATMAP_HEIGHT = 112  # approximate pixels of all dimensions of a meaning
ROW_HEIGHT = 20  # pixels of a row of numbers
CHART_HEIGHT = 190  # pixels of the panel of returns


class Layout(NamedTuple):
    """Positions and sizes in pixels; they depend on the task only."""

    column_width: int  # width of a step's column
    slanted: bool  # whether words are slanted because they are wider than their columns
    word_width: int  # largest width of a word
    label_height: int  # height of a row of words
    cell_height: int  # height of one dimension's cell
    length: int  # L, number of steps
    dimension: int  # d, dimension of a meaning

    @property
    def right(self) -> int:
        """Right end of the columns."""
        return LEFT + self.length * self.column_width

    @property
    def tops(self) -> tuple[int, int, int, int, int]:
        """Tops of the panels: meanings due, meanings of the agent, cosines, surprisals, returns."""
        heatmap = self.label_height + self.dimension * self.cell_height
        due = EDGE + TITLE_SIZE + GAP + self.label_height
        agent = due + GAP + heatmap
        cosine = agent + self.dimension * self.cell_height + GAP
        surprisal = cosine + ROW_HEIGHT + 4
        return due, agent, cosine, surprisal, surprisal + ROW_HEIGHT + 3 * GAP + 6

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture; both are even, because video encoders require it."""
        overhang = (
            math.ceil(self.word_width * math.cos(math.radians(SLANT))) - self.column_width // 2 if self.slanted else 0
        )
        width = max(self.right + max(overhang, 0) + EDGE, MIN_WIDTH)
        height = self.tops[-1] + CHART_HEIGHT + GAP + EDGE + 4
        return width + width % 2, height + height % 2

    def middle(self, step: int) -> float:
        """Return the middle of a step's column; steps count from 0."""
        return LEFT + (step + 0.5) * self.column_width


@lru_cache(maxsize=8)
def make_layout(language: Language, length: int) -> Layout:
    """Return the layout for messages of this length in this language."""
    column_width = int(np.clip(COLUMNS_WIDTH // length, MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH))
    widest = math.ceil(max(text_width(word, WORD_SIZE) for word in language.surface)) + 4
    slanted = widest > column_width
    word_width = min(widest, MAX_WORD_WIDTH) if slanted else column_width
    label_height = word_height(word_width, WORD_SIZE) if slanted else WORD_SIZE + 6
    return Layout(
        column_width,
        slanted,
        word_width,
        label_height,
        max(2, HEATMAP_HEIGHT // language.dimension),
        length,
        language.dimension,
    )


def word_text(language: Language, token: int) -> str:
    """Return a word in letters that the font has; its rank if that is impossible."""
    return transliterate(language.surface[token]) or f"#{token}"
