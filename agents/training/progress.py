"""Display the progress of a training: a live bar in a terminal, a plain line every few seconds elsewhere."""

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from agents.machine.terminal import TerminalDisplay
from agents.training.recorder import Recorder

PLAIN_SECONDS = 5.0  # seconds between two plain lines
COLUMNS = (
    TextColumn("episodes"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[speed]:,.0f} steps/s   mean of the last 100 {task.fields[mean]:+.3f}   left"),
    TimeRemainingColumn(),
)


class ProgressDisplay(BaseCallback):
    """Display episodes, steps per second, the mean return of the last 100 episodes, and the remaining time.

    Args:
        recorder: Recorder of the run.
        episodes: Number of episodes of the whole run.

    Attributes:
        display: Context manager that shows the bar.
    """

    def __init__(self, recorder: Recorder, episodes: int) -> None:
        super().__init__()
        self._recorder = recorder
        self._episodes = episodes
        self._played_before = self._steps_before = 0  # episodes and steps before this process resumed the run
        self._started = self._printed = time.monotonic()
        self.display = TerminalDisplay(lambda console: Progress(*COLUMNS, console=console))
        self._live = self.display.live
        self._bar = self._live.add_task("", total=episodes, speed=0.0, mean=float("nan")) if self._live else None

    def _on_training_start(self) -> None:
        self._started = self._printed = time.monotonic()
        self._played_before = len(self._recorder.returns)
        self._steps_before = self.num_timesteps

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            self._show()
        return True

    def _on_training_end(self) -> None:
        self._show(last=True)

    def _show(self, last: bool = False) -> None:
        now = time.monotonic()
        done, mean = len(self._recorder.returns), self._recorder.mean_return
        speed = (self.num_timesteps - self._steps_before) / max(now - self._started, 1e-9)
        if self._live and self._bar is not None:
            self._live.update(self._bar, completed=done, speed=speed, mean=mean)
        elif last or now - self._printed >= PLAIN_SECONDS:
            self._printed = now
            seconds_left = (self._episodes - done) * (now - self._started) / max(done - self._played_before, 1)
            print(
                f"episode {done} of {self._episodes}   {speed:,.0f} steps/s   "
                f"mean of the last 100 {mean:+.3f}   {seconds_left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
