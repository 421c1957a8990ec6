"""Measure what a run takes for checkpoints, validations, metric files and guards, beside its training."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from rich.table import Table
from stable_baselines3.common.logger import Logger

from agents.settings.layers import make_settings, preset_layer
from agents.settings.schema import Settings
from agents.training.fit import fit
from agents.training.guards import CheckedVecEnv, UpdateGuard
from agents.training.recorder import Recorder
from agents.training.saver import Saver

SIZES = ("fast", "stable")
# The calls that are made for each, none of them inside another one's.
CARE: dict[str, tuple[tuple[type, str], ...]] = {
    "checkpoints": ((Saver, "_save"),),
    "validations": ((Saver, "_validate_if_due"),),
    "metric files": (
        (Recorder, "_on_step"),
        (Recorder, "_on_rollout_end"),
        (Recorder, "_record_update"),
        (Logger, "dump"),
    ),
    "guards": ((CheckedVecEnv, "_check_actions"), (CheckedVecEnv, "_checked"), (UpdateGuard, "_look")),
}


def speed_table(repeats: int) -> Table:
    """Seconds of each in per cent of the training's, medians of interleaved runs of the presets."""
    found: dict[str, list[dict[str, float]]] = {size: [] for size in SIZES}
    for _ in range(repeats):
        for size in SIZES:
            found[size].append(seconds_of_care(make_settings(preset_layer(size), {"device": "cpu"})))
    title = f"per cent of the training's wall-clock time, medians of {repeats}"
    table = Table(title=title, title_justify="left")
    for heading in ("size", "training", *CARE):
        table.add_column(heading, justify="left" if heading == "size" else "right")
    for size, runs in found.items():
        shares = {care: median(100 * run[care] / run["training"] for run in runs) for care in CARE}
        training = median(run["training"] for run in runs)
        table.add_row(size, f"{training:,.0f} s", *(f"{share:.2f} %" for share in shares.values()))
    return table


def seconds_of_care(settings: Settings) -> dict[str, float]:
    """Seconds of wall-clock time that the training of a run took, and what it spent on each kind of care."""
    spent = dict.fromkeys(CARE, 0.0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for care, calls in CARE.items():
            for owner, name in calls:
                stack.enter_context(_timed(owner, name, spent, care))
        summary = fit(settings, Path(folder) / "run", progress=False).summary
    return spent | {"training": summary.training_seconds}


@contextmanager
def _timed(owner: type, name: str, spent: dict[str, float], care: str) -> Iterator[None]:
    """Count the seconds of a method's calls meanwhile."""
    method: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            spent[care] += time.perf_counter() - started

    with patch.object(owner, name, timed):
        yield
