"""Draw words, cells and curves with Pillow and its embedded font, independent of the fonts of the machine."""

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]  # x and y in pixels from the top left corner

PAPER: Colour = (255, 255, 255)
SLANT = 50.0  # degrees; angle of words that are too long for their column
SMOOTHING = 4  # curves are drawn this many times larger and reduced
# Latin letters that Unicode does not decompose into letter and accent, and dashes that the font lacks.
TRANSLITERATIONS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | {"Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "–": "-", "—": "-", "−": "-"}
)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)  # the other engine is not available on all machines


@lru_cache(maxsize=4096)
def _has_letter(letter: str) -> bool:
    mask, missing = (_font(16).getmask(text) for text in (letter, "\uffff"))
    return mask.size != missing.size or bytes(mask) != bytes(missing)


def transliterate(word: str) -> str | None:
    """Return the word in letters that the font has, without accents; None if that is impossible."""
    parts = unicodedata.normalize("NFKD", word.translate(TRANSLITERATIONS))
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain if plain.strip() and all(map(_has_letter, plain)) else None


def text_width(text: str, size: int) -> float:
    """Return the width of a text in pixels."""
    return float(_font(size).getlength(text))


def ellipsize(text: str, size: int, width: float) -> str:
    """Return the text, shortened with an ellipsis if it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def word_height(width: float, size: int) -> int:
    """Return the height in pixels of a slanted word of this width."""
    angle = math.radians(SLANT)
    return math.ceil(width * math.sin(angle) + _line_height(size) * math.cos(angle))


def _line_height(size: int) -> int:
    return sum(_font(size).getmetrics())


class Canvas:
    """A white picture to draw on.

    Args:
        width: Width in pixels.
        height: Height in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width, height), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture, uint8 [height, width, 3]."""
        return np.array(self._image)

    def text(self, at: Point, text: str, size: int, colour: Colour, anchor: str = "lm") -> None:
        """Write a text with its anchor at this point; `anchor` as in Pillow ("lm" is left middle)."""
        self._draw.text(at, text, fill=colour, font=_font(size), anchor=anchor)

    def slanted_text(self, at: Point, text: str, size: int, colour: Colour) -> None:
        """Write a text that rises to the right; its lowest corner is at the height of this point."""
        height = _line_height(size)
        mask = Image.new("L", (math.ceil(text_width(text, size)) + 2, height))
        ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=_font(size))
        rotated = mask.rotate(SLANT, resample=Image.Resampling.BICUBIC, expand=True)
        angle = math.radians(SLANT)
        left = at[0] - height / 2 * math.sin(angle)
        self._image.paste(colour, (round(left), round(at[1] - rotated.height)), rotated)

    def rectangle(self, corner: Point, opposite: Point, colour: Colour) -> None:
        """Fill a rectangle from one corner up to, but without, the opposite one."""
        self._draw.rectangle((*corner, opposite[0] - 1, opposite[1] - 1), fill=colour)

    def line(self, start: Point, end: Point, colour: Colour) -> None:
        """Draw a line one pixel wide."""
        self._draw.line((*start, *end), fill=colour)

    def cells(self, at: Point, colours: NDArray[np.float64], width: int, height: int, gap: int = 0) -> None:
        """Fill a grid of cells with colours [rows, columns, 3].

        Args:
            at: Top left corner.
            colours: Colour of each cell, 0 … 255, [rows, columns, 3].
            width: Width of a column in pixels, including the gap.
            height: Height of a cell in pixels.
            gap: Pixels between columns.
        """
        for column, stripe in enumerate(colours.swapaxes(0, 1)):
            pixels = Image.fromarray(np.rint(stripe).astype(np.uint8)[:, None])
            enlarged = pixels.resize((width - gap, len(stripe) * height), Image.Resampling.NEAREST)
            self._image.paste(enlarged, (round(at[0]) + column * width, round(at[1])))

    def curve(self, points: Sequence[Point], colour: Colour, width: int, corner: Point, opposite: Point) -> None:
        """Draw a smooth line through points, clipped to the rectangle between these corners."""
        size = round((opposite[0] - corner[0]) * SMOOTHING), round((opposite[1] - corner[1]) * SMOOTHING)
        mask = Image.new("L", size)
        enlarged = [((x - corner[0]) * SMOOTHING, (y - corner[1]) * SMOOTHING) for x, y in points]
        ImageDraw.Draw(mask).line(enlarged, fill=255, width=width * SMOOTHING, joint="curve")
        self._image.paste(colour, (round(corner[0]), round(corner[1])), mask.reduce(SMOOTHING))

    def triangle(self, tip: Point, size: float, colour: Colour) -> None:
        """Draw a triangle that points down to `tip`, or up if `size` is negative."""
        x, y = tip
        self._draw.polygon([(x, y), (x - abs(size), y - size), (x + abs(size), y - size)], fill=colour)
