"""Show one episode: as a picture in a file, an animated one, or live in the terminal."""

import io
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image
from rich.console import Console
from rich.live import Live
from rich.text import Text

from token_env.drawing.as_text import draw_text
from token_env.drawing.picture import draw_pixels
from token_env.episodes.batch import Batch
from token_env.episodes.evaluate import Policy, next_action
from token_env.episodes.references import ReferencePolicy
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task

LAST_SECONDS = 4.0  # how long the end of an episode stays
LEAST_MILLISECONDS = 20  # that a frame of a GIF may last; viewers take less for a mistake


def play(policy: Policy | ReferencePolicy, task: Task, problem: int, seed: int = 0) -> Iterator[Batch]:
    """The episode in a batch of one row: before the first step, and after each of them.

    Args:
        policy: as for `token_env.evaluate`.
        task: what is played, its split included.
        problem: the id of the problem.
        seed: of the generator given to a reference policy.

    Raises:
        SettingError: an id outside the split.
    """
    batch, row = Batch(Dynamics(task), 1), np.array([0])
    batch.set_next(row, problem)
    batch.start(row)
    return _steps(policy, batch, np.random.default_rng(seed))


def _steps(policy: Policy | ReferencePolicy, batch: Batch, generator: np.random.Generator) -> Iterator[Batch]:
    yield batch
    for _ in range(batch.dynamics.task.max_steps):
        batch.step(next_action(policy, batch, generator))
        yield batch


def still(episode: Iterator[Batch]) -> bytes:
    """A PNG of the end of the episode."""
    *_, batch = episode
    stream = io.BytesIO()
    Image.fromarray(draw_pixels(batch, 0)).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def film(episode: Iterator[Batch], fps: float) -> bytes:
    """A GIF of the episode without end: a frame before the first step and one after each, the last one stays.

    Args:
        episode: as `play` gives it.
        fps: frames a second; a GIF shows at most 50.
    """
    frames = [draw_pixels(batch, 0) for batch in episode]
    # one palette for all frames, so that no colour changes on its way; the first and the last one have all colours
    palette = Image.fromarray(np.concatenate([frames[0], frames[-1]])).quantize(method=Image.Quantize.FASTOCTREE)
    flat = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    each = max(LEAST_MILLISECONDS, round(1000 / fps))
    durations = [each] * (len(flat) - 1) + [max(each, round(1000 * LAST_SECONDS))]
    stream = io.BytesIO()
    flat[0].save(stream, format="GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0)
    return stream.getvalue()


def show_live(console: Console, episode: Iterator[Batch], fps: float) -> None:
    """Show the episode in the terminal, each step in the place of the one before.

    Args:
        console: the terminal.
        episode: as `play` gives it.
        fps: steps a second.
    """
    with Live(console=console, auto_refresh=False) as live:
        for batch in episode:
            live.update(Text.from_ansi(draw_text(batch, 0)), refresh=True)
            if not batch.dynamics.is_done(batch.state)[0]:
                time.sleep(1 / fps)
