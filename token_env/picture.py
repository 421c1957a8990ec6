"""Draw an episode as pixels: what was meant, what was said, how well it fits, what it earned.

Columns are steps. From above: the meaning due at each step, one cell a dimension (blue negative, red positive); the
meaning of the token said; the cosine of the two, as a colour; the return so far, as bars above and below a line.
"""

import numpy as np
from numpy.typing import NDArray

from token_env.batch import Batch
from token_env.language import Language
from token_env.problem import Problem

Pixels = NDArray[np.uint8]

CELL = 12  # pixels of a cell's side
GAP = 6  # pixels between panels
BAR_PANEL = 96  # pixels of the panel of returns
RETURN_RANGE = 5.0  # returns are drawn up to this size, and cut off beyond
BACKGROUND, WAITING = np.array([250, 250, 250]), np.array([225, 225, 225])
NEGATIVE, NEUTRAL, POSITIVE = np.array([33, 102, 172]), np.array([247, 247, 247]), np.array([178, 24, 43])
FAR, NEAR = np.array([215, 48, 39]), np.array([26, 152, 80])
GAIN, LOSS, LINE = np.array([26, 152, 80]), np.array([215, 48, 39]), np.array([90, 90, 90])


def draw_pixels(batch: Batch, row: int) -> Pixels:
    """The episode of this row of a batch so far, [height, width, 3]; the size depends on the task alone."""
    dynamics = batch.dynamics
    problem, step = batch.problem(row), int(batch.state.step[row])
    said = batch.said[row, :step]
    length = len(problem.message)
    due = _cells(_diverging(problem.meanings.T.astype(np.float64)))
    spoken = np.broadcast_to(WAITING, (dynamics.language.dimension, length, 3)).copy()
    spoken[:, :step] = _diverging(dynamics.language.meaning[said].T)
    cosine = np.broadcast_to(WAITING, (1, length, 3)).copy()
    cosine[0, :step] = _adequacy(dynamics.language, problem, said)
    panels = [due, _cells(spoken), _cells(cosine), _bars(batch.running_returns(row), length)]
    gap = np.broadcast_to(BACKGROUND, (GAP, due.shape[1], 3))
    stacked = [part for panel in panels for part in (gap, panel)] + [gap]
    body = np.concatenate(stacked)
    side = np.broadcast_to(BACKGROUND, (len(body), GAP, 3))
    return np.concatenate([side, body, side], axis=1).astype(np.uint8)


def _diverging(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours [..., 3] of values in [-1, 1], [...]."""
    strength = np.clip(np.abs(values), 0.0, 0.6)[..., None] / 0.6
    ends = np.where((values < 0)[..., None], NEGATIVE, POSITIVE)
    return NEUTRAL + strength * (ends - NEUTRAL)


def _adequacy(language: Language, problem: Problem, said: NDArray[np.int64]) -> NDArray[np.float64]:
    """Colours [t, 3] of the tokens said, by the cosine with the meanings that were due."""
    cosine = np.clip(np.vecdot(language.meaning[said], problem.meanings[: len(said)]), 0.0, 1.0)
    return FAR + cosine[:, None] * (NEAR - FAR)


def _cells(colours: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Colours [rows, columns, 3] enlarged to cells."""
    return colours.repeat(CELL, axis=0).repeat(CELL, axis=1).astype(np.float64)


def _bars(returns: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Returns [t] after each step as bars from a middle line, [BAR_PANEL, length * CELL, 3]."""
    panel = np.tile(BACKGROUND.astype(np.float64), (BAR_PANEL, length * CELL, 1))
    middle = BAR_PANEL // 2
    heights = np.rint(np.clip(returns / RETURN_RANGE, -1.0, 1.0) * (middle - 1)).astype(int)
    for step, height in enumerate(heights):
        columns = slice(step * CELL + 1, (step + 1) * CELL - 1)
        rows = slice(middle - height, middle) if height > 0 else slice(middle, middle - height)
        panel[rows, columns] = GAIN if height > 0 else LOSS
    panel[middle] = LINE
    return panel
