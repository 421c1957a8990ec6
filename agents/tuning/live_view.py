"""Show the progress of a study: a live table in a terminal, one line per finished trial elsewhere."""

import sys
import time
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agents.machine.terminal import TerminalDisplay
from agents.tuning.objective import EVALUATIONS
from agents.tuning.trials import ERROR, SEED, STATES, Show, count_finished, owner_of


class LiveView(TerminalDisplay[Live]):
    """Context manager that shows running trials, the best value so far, and the time left."""

    def __init__(self) -> None:
        super().__init__(lambda console: Live(console=console, refresh_per_second=2))

    def begin_stage(self, title: str) -> Show:
        """Return the function that shows the trials of one stage under this title."""
        stage = _StageProgress(title)

        def show(trials: Sequence[FrozenTrial], messages: Sequence[str]) -> None:
            lines = [*stage.first_line(trials), *messages, *stage.finished_lines(trials)]
            if self.live:
                for line in lines:
                    self.live.console.print(line, highlight=False, markup=False)
                self.live.update(Group(running_table(trials), Text(stage.summary(trials))))
            else:
                for line in lines:
                    print(line, file=sys.stderr, flush=True)

        return show


class _StageProgress:
    """Progress of one stage, with the trials already reported as finished."""

    def __init__(self, title: str) -> None:
        self._title, self._started = title, time.monotonic()
        self._reported: set[int] | None = None  # numbers of finished trials that have had their line
        self._finished_before = 0  # trials finished before this command showed the stage

    def first_line(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """Return the line that opens the stage; nothing on later calls."""
        if self._reported is not None:
            return []
        self._reported = {trial.number for trial in trials if trial.state.is_finished()}
        self._finished_before = len(self._reported)
        return [f"{self._title}; {self._finished_before} of {len(trials)} finished"]

    def finished_lines(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """Return a line for each trial that finished since the last call."""
        assert self._reported is not None
        new = [trial for trial in trials if trial.state.is_finished() and trial.number not in self._reported]
        self._reported |= {trial.number for trial in new}
        return [f"{trial_text(trial)}; {self.summary(trials)}" for trial in new]

    def summary(self, trials: Sequence[FrozenTrial]) -> str:
        """Format the number of finished trials, the best value, and the estimated time left."""
        finished = count_finished(trials)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
        best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        text = f"{finished} of {len(trials)} finished"
        text += f", best {best.value:.4f} (trial {best.number})" if best else ""
        if self._finished_before < finished < len(trials):
            seconds_per_trial = (time.monotonic() - self._started) / (finished - self._finished_before)
            text += f", about {seconds_per_trial * (len(trials) - finished) / 60:.0f} min left"
        return text


def trial_text(trial: FrozenTrial) -> str:
    """Format a finished trial: `trial 7 complete: 0.8123`."""
    value = "" if trial.value is None else f": {trial.value:.4f}"
    has_error = trial.state == TrialState.FAIL and ERROR in trial.user_attrs
    return f"trial {trial.number} {STATES[trial.state]}{value}" + (f": {trial.user_attrs[ERROR]}" if has_error else "")


def running_table(trials: Sequence[FrozenTrial]) -> Table:
    """Build the table of running trials: worker, training, evaluation, score, and minutes since the start."""
    table = Table(box=None)
    for heading in ("trial", "host", "process", "training", "evaluation", "score", "minutes"):
        table.add_column(heading, justify="right")
    for trial in trials:
        owner, step = owner_of(trial), trial.last_step or 0
        if trial.state != TrialState.RUNNING or owner is None:
            continue
        training, evaluation = divmod(max(step - 1, 0), EVALUATIONS)
        minutes = (datetime.now() - trial.datetime_start).total_seconds() / 60 if trial.datetime_start else 0.0
        table.add_row(
            str(trial.number),
            owner.process.host,
            str(owner.process.pid),
            f"seed {trial.user_attrs[SEED]}" if SEED in trial.user_attrs else str(training + 1),
            f"{evaluation + 1 if step else 0} of {EVALUATIONS}",
            f"{trial.intermediate_values[step]:.4f}" if step else "—",
            f"{minutes:.1f}",
        )
    return table
