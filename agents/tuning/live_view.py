"""Show how a study is getting on: a live table in a terminal, a plain line for every trial elsewhere."""

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
from agents.tuning.trials import ERROR, SEED, STATES, Show, ended, owner_of


class LiveView(TerminalDisplay[Live]):
    """Shows running trials, the best so far, and the time left. A context manager."""

    def __init__(self) -> None:
        super().__init__(lambda console: Live(console=console, refresh_per_second=2))

    def announce(self, title: str) -> Show:
        """What shows one stage of a study."""
        stage = _Stage(title)

        def show(trials: Sequence[FrozenTrial], news: Sequence[str]) -> None:
            lines = [*stage.beginning(trials), *news, *stage.endings(trials)]
            if self.live:
                for line in lines:
                    self.live.console.print(line, highlight=False, markup=False)
                self.live.update(Group(running_table(trials), Text(stage.summary(trials))))
            else:
                for line in lines:
                    print(line, file=sys.stderr, flush=True)

        return show


class _Stage:
    """What was said already of some trials."""

    def __init__(self, title: str) -> None:
        self._title, self._started = title, time.monotonic()
        self._told: set[int] | None = None  # trials whose end was told
        self._before = 0  # trials that had ended before

    def beginning(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """The first line."""
        if self._told is not None:
            return []
        self._told = {trial.number for trial in trials if trial.state.is_finished()}
        self._before = len(self._told)
        return [f"{self._title}; {self._before} of {len(trials)} have ended"]

    def endings(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """A line for each trial that has ended meanwhile."""
        assert self._told is not None
        new = [trial for trial in trials if trial.state.is_finished() and trial.number not in self._told]
        self._told |= {trial.number for trial in new}
        return [f"{outcome_of(trial)}; {self.summary(trials)}" for trial in new]

    def summary(self, trials: Sequence[FrozenTrial]) -> str:
        """How many have ended, the best of them, and how long the others will take."""
        done = ended(trials)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
        best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        told = f"{done} of {len(trials)} ended"
        told += f", best {best.value:.4f} (trial {best.number})" if best else ""
        if self._before < done < len(trials):
            left = (time.monotonic() - self._started) / (done - self._before) * (len(trials) - done)
            told += f", about {left / 60:.0f} min left"
        return told


def outcome_of(trial: FrozenTrial) -> str:
    """What became of a trial that has ended: `trial 7 complete: 0.8123`."""
    value = "" if trial.value is None else f": {trial.value:.4f}"
    return f"trial {trial.number} {STATES[trial.state]}{value}" + (
        f": {trial.user_attrs[ERROR]}" if trial.state == TrialState.FAIL and ERROR in trial.user_attrs else ""
    )


def running_table(trials: Sequence[FrozenTrial]) -> Table:
    """Trials that are being run: where, how far, what they score, since when."""
    table = Table(box=None)
    for heading in ("trial", "host", "process", "training", "evaluation", "score", "minutes"):
        table.add_column(heading, justify="right")
    for trial in trials:
        worker, step = owner_of(trial), trial.last_step or 0
        if trial.state != TrialState.RUNNING or worker is None:
            continue
        training, evaluation = divmod(max(step - 1, 0), EVALUATIONS)
        since = (datetime.now() - trial.datetime_start).total_seconds() / 60 if trial.datetime_start else 0.0
        table.add_row(
            str(trial.number),
            worker.process.host,
            str(worker.process.pid),
            f"seed {trial.user_attrs[SEED]}" if SEED in trial.user_attrs else str(training + 1),
            f"{evaluation + 1 if step else 0} of {EVALUATIONS}",
            f"{trial.intermediate_values[step]:.4f}" if step else "—",
            f"{since:.1f}",
        )
    return table
