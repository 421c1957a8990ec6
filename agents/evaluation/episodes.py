"""Play one episode and show it: as a PNG, as an animated GIF, or live in the terminal."""

import io
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.live import Live
from rich.text import Text

from agents.evaluation.agent import Agent, BoolArray, Player
from token_env.drawing.as_text import draw_text
from token_env.drawing.picture import draw_pixels
from token_env.drawing.plan import StepLogits
from token_env.drawing.plan_text import step_table
from token_env.episodes.batch import Batch
from token_env.episodes.evaluate import Policy, next_action
from token_env.episodes.references import ReferencePolicy
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.task import Task

LAST_FRAME_SECONDS = 4.0  # how long a GIF shows the final state
MIN_FRAME_MILLISECONDS = 20  # GIF viewers slow down shorter frames


class PlanningPlayer(Player):
    """A player of one episode that records its logits with and without the plan.

    Args:
        agent: Agent with a head that can plan.
        deterministic: Whether to choose the most probable token; otherwise it is sampled by its probability.
    """

    def __init__(self, agent: Agent, deterministic: bool = True) -> None:
        super().__init__(agent, deterministic)
        self._without_plan = agent.with_plan(0)
        self.steps: list[StepLogits] = []  # one for each call of `act`

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Return the token of this step, [1]; see `token_env.EpisodePolicy`."""
        memory = None if episode_starts.all() else self._memory
        masks = action_masks() if self.masked else None
        now, total = (
            agent.distribution(observations, memory, episode_starts, masks)[0].distribution.logits[0].cpu().numpy()
            for agent in (self._without_plan, self.agent)
        )
        tokens = super().act(observations, episode_starts, action_masks)
        self.steps.append(StepLogits(now, total, int(tokens[0])))
        return tokens


def play_episode(policy: Policy | ReferencePolicy, task: Task, problem: int, seed: int = 0) -> Iterator[Batch]:
    """Play one episode in a batch of one row; yield the batch before the first step and after each step.

    When a batch is yielded, the policy has chosen the token that is said next.

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
    for _ in range(batch.dynamics.task.max_steps):
        action = next_action(policy, batch, generator)
        yield batch
        batch.step(action)
    yield batch


def png_bytes(episode: Iterator[Batch], plan: Sequence[StepLogits] | None = None) -> bytes:
    """Draw the final state of an episode as a PNG.

    Args:
        episode: Batches from `play_episode`.
        plan: `PlanningPlayer.steps`, to draw a table of each step; None for no tables.
    """
    *_, batch = episode
    stream = io.BytesIO()
    Image.fromarray(draw_pixels(batch, 0, plan)).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def gif_bytes(episode: Iterator[Batch], fps: float, plan: Sequence[StepLogits] | None = None) -> bytes:
    """Draw an episode as an endless GIF: one frame before the first step and one after each step.

    Args:
        episode: Batches from `play_episode`.
        fps: Frames per second; a GIF shows at most 50.
        plan: As for `png_bytes`.
    """
    frames = [draw_pixels(batch, 0, plan) for batch in episode]
    # One palette for all frames keeps colours constant; the first and the last frame contain all colours.
    palette = Image.fromarray(np.concatenate([frames[0], frames[-1]])).quantize(method=Image.Quantize.FASTOCTREE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = max(MIN_FRAME_MILLISECONDS, round(1000 / fps))
    durations = [duration] * (len(images) - 1) + [max(duration, round(1000 * LAST_FRAME_SECONDS))]
    stream = io.BytesIO()
    images[0].save(stream, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return stream.getvalue()


def show_live(console: Console, episode: Iterator[Batch], fps: float, plan: Sequence[StepLogits] | None = None) -> None:
    """Show an episode in the terminal; each step overwrites the previous one.

    Args:
        console: Console of the terminal.
        episode: Batches from `play_episode`.
        fps: Steps per second.
        plan: `PlanningPlayer.steps`, to show a table of each step; None for no tables.
    """
    with Live(console=console, auto_refresh=False) as live:
        for batch in episode:
            done, lines = bool(batch.dynamics.is_done(batch.state)[0]), [draw_text(batch, 0)]
            if plan and not done:
                step = len(plan) - 1
                due = int(batch.problem(0).message[step])
                lines += ["", *step_table(batch.dynamics.language, step, due, plan[step])]
            live.update(Text.from_ansi("\n".join(lines)), refresh=True)
            if not done:
                time.sleep(1 / fps)
