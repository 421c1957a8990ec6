"""Measure the time that a run spends on checkpoints, validations, metric files and guards."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import FrameType

from rich.table import Table
from stable_baselines3.common import logger

from agents.algorithms import vec_env
from agents.settings.layers import make_settings, preset_layer
from agents.settings.schema import Settings
from agents.training import guards, recorder, saver, validation
from agents.training.fit import fit

SIZES = ("fast", "stable")
SAMPLE_SECONDS = 0.001  # sampling interval
TRAINING = "training"
# Purpose of the code in a file. The innermost file of the stack decides, so a step of the environment counts as
# training although it is called through a guard.
PURPOSES = {
    saver.__file__: "checkpoints",
    validation.__file__: "validations",
    recorder.__file__: "metric files",
    logger.__file__: "metric files",
    guards.__file__: "guards",
    vec_env.__file__: TRAINING,
}
OVERHEADS = tuple(dict.fromkeys(purpose for purpose in PURPOSES.values() if purpose != TRAINING))


def speed_table(repeats: int) -> Table:
    """Build the table of overheads as percentages of the training time: medians of interleaved runs of the presets."""
    seconds: dict[str, list[dict[str, float]]] = {size: [] for size in SIZES}
    for _ in range(repeats):
        for size in SIZES:
            seconds[size].append(overhead_seconds(make_settings(preset_layer(size), {"device": "cpu"})))
    title = f"per cent of the training's wall-clock time, medians of {repeats}"
    table = Table(title=title, title_justify="left")
    for heading in ("size", TRAINING, *OVERHEADS):
        table.add_column(heading, justify="left" if heading == "size" else "right")
    for size, runs in seconds.items():
        shares = [median(100 * run[overhead] / run[TRAINING] for run in runs) for overhead in OVERHEADS]
        training = median(run[TRAINING] for run in runs)
        table.add_row(size, f"{training:,.0f} s", *(f"{share:.2f} %" for share in shares))
    return table


def overhead_seconds(settings: Settings) -> dict[str, float]:
    """Train a run; return the wall-clock time of its training and of each overhead within it, in seconds."""
    with tempfile.TemporaryDirectory() as folder, sampled() as seconds:
        summary = fit(settings, Path(folder) / "run", progress=False).summary
    return {overhead: seconds[overhead] for overhead in OVERHEADS} | {TRAINING: summary.training_seconds}


@contextmanager
def sampled() -> Iterator[dict[str, float]]:
    """Yield a dict of seconds by purpose; each timer tick adds the time since the last tick to the running code.

    A tick during a C call is handled when the call returns, and counts for the calling frame.
    """
    seconds = dict.fromkeys(PURPOSES.values(), 0.0)
    last = time.perf_counter()

    def sample(_: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[purpose_of(frame)] += now - last
        last = now

    previous_handler = signal.signal(signal.SIGALRM, sample)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_SECONDS, SAMPLE_SECONDS)
    try:
        yield seconds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous_handler)


def purpose_of(frame: FrameType | None) -> str:
    """Return the purpose of the innermost known file on this stack."""
    while frame:
        if purpose := PURPOSES.get(frame.f_code.co_filename):
            return purpose
        frame = frame.f_back
    return TRAINING
