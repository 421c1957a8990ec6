"""Lay out the picture of an episode: where its panels and columns stand, in pixels."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from token_env.drawing.canvas import SLANT, text_width, word_height
from token_env.languages.language import Language

TITLE, WORD, NOTE = 18, 14, 12  # sizes of letters
LEFT, EDGE, GAP = 142, 14, 16  # pixels beside the columns, around everything, between panels
LEAST_WIDTH = 720  # pixels, for the title
COLUMNS_WIDTH = 1080  # pixels of all columns together, as far as their own limits allow
NARROWEST, WIDEST = 20, 72  # pixels of a column
LONGEST_WORD = 92  # pixels, above which a word is cut
HEATMAP = 112  # pixels of all dimensions of a meaning together, about
ROW = 20  # pixels of a row of numbers
CHART = 190  # pixels of the panel of returns


class Layout(NamedTuple):
    """Where everything stands, in pixels; it depends on the task alone."""

    column: int  # width of a step's column
    slanted: bool  # words are too long to stand straight in their columns
    room: int  # width up to which words are written
    words: int  # height of a row of words
    cell: int  # height of a dimension's cell
    length: int  # L
    dimension: int  # d

    @property
    def right(self) -> int:
        """Where the columns end."""
        return LEFT + self.length * self.column

    @property
    def tops(self) -> tuple[int, int, int, int, int]:
        """Where the meanings due, the meanings said, the cosines, the surprisals and the returns begin."""
        heatmap = self.words + self.dimension * self.cell
        due = EDGE + TITLE + GAP + self.words
        said = due + GAP + heatmap
        cosine = said + self.dimension * self.cell + GAP
        surprisal = cosine + ROW + 4
        return due, said, cosine, surprisal, surprisal + ROW + 3 * GAP + 6

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, both even, as encoders of videos ask for."""
        overhang = math.ceil(self.room * math.cos(math.radians(SLANT))) - self.column // 2 if self.slanted else 0
        width = max(self.right + max(overhang, 0) + EDGE, LEAST_WIDTH)
        height = self.tops[-1] + CHART + GAP + EDGE + 4
        return width + width % 2, height + height % 2

    def middle(self, step: int) -> float:
        """The middle of a step's column, the first step being 0."""
        return LEFT + (step + 0.5) * self.column


@lru_cache(maxsize=8)
def make_layout(language: Language, length: int) -> Layout:
    """The layout for messages of this length in this language."""
    column = int(np.clip(COLUMNS_WIDTH // length, NARROWEST, WIDEST))
    widest = math.ceil(max(text_width(word, WORD) for word in language.surface)) + 4
    slanted = widest > column
    room = min(widest, LONGEST_WORD) if slanted else column
    words = word_height(room, WORD) if slanted else WORD + 6
    return Layout(column, slanted, room, words, max(2, HEATMAP // language.dimension), length, language.dimension)
