"""Play one episode and show it: as a PNG, as an animated GIF, or live in the terminal."""

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

LAST_FRAME_SECONDS = 4.0  # how long a GIF shows the final state
MIN_FRAME_MILLISECONDS = 20  # GIF viewers slow down shorter frames


def play_episode(policy: Policy | ReferencePolicy, task: Task, problem: int, seed: int = 0) -> Iterator[Batch]:
    """Play one episode in a batch of one row; yield the batch before the first step and after each step.

    Args:
        policy: Policy as for `token_env.evaluate`.
        task: Task to play, with its split.
        problem: Id of the problem.
        seed: Seed of the generator passed to a reference policy.

    Raises:
        SettingError: The id is outside the split.
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


def png_bytes(episode: Iterator[Batch]) -> bytes:
    """Draw the final state of an episode as a PNG."""
    *_, batch = episode
    stream = io.BytesIO()
    Image.fromarray(draw_pixels(batch, 0)).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def gif_bytes(episode: Iterator[Batch], fps: float) -> bytes:
    """Draw an episode as an endless GIF: one frame before the first step and one after each step.

    Args:
        episode: Batches from `play_episode`.
        fps: Frames per second; a GIF shows at most 50.
    """
    frames = [draw_pixels(batch, 0) for batch in episode]
    # One palette for all frames keeps colours constant; the first and the last frame contain all colours.
    palette = Image.fromarray(np.concatenate([frames[0], frames[-1]])).quantize(method=Image.Quantize.FASTOCTREE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = max(MIN_FRAME_MILLISECONDS, round(1000 / fps))
    durations = [duration] * (len(images) - 1) + [max(duration, round(1000 * LAST_FRAME_SECONDS))]
    stream = io.BytesIO()
    images[0].save(stream, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return stream.getvalue()


def show_live(console: Console, episode: Iterator[Batch], fps: float) -> None:
    """Show an episode in the terminal; each step overwrites the previous one.

    Args:
        console: Console of the terminal.
        episode: Batches from `play_episode`.
        fps: Steps per second.
    """
    with Live(console=console, auto_refresh=False) as live:
        for batch in episode:
            live.update(Text.from_ansi(draw_text(batch, 0)), refresh=True)
            if not batch.dynamics.is_done(batch.state)[0]:
                time.sleep(1 / fps)
