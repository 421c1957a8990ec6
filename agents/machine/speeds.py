"""Describe how fast this machine trains, and remember it from `agents.doctor` to the next trainings."""

import json
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from agents.machine.matmul import FLOAT32
from agents.machine.provenance import processor, versions
from agents.machine.threads import VARIABLE, thread_count
from token_env.files import write_bytes
from token_env.optimum.cache import folder

FASTER_BY = 1.15  # smallest speed-up that is worth advice


class Way(NamedTuple):
    """A way to train."""

    device: str
    precision: str  # "float32" or "bf16"
    threads: int

    @property
    def options(self) -> str:
        """What to type for it, as part of a sentence."""
        parts = [f"--device {self.device}"]
        if self.precision != FLOAT32:
            parts.append(f"--precision {self.precision}")
        if self.threads != thread_count():
            parts.append(f"{VARIABLE}={self.threads} before the command")
        return ", ".join(parts)


class TrainingSpeed(NamedTuple):
    """The speed of PPO with the preset of a size."""

    size: str
    device: str
    precision: str
    threads: int
    steps_per_second: float  # by the clock
    run_seconds: float  # of all episodes of the preset, without evaluation
    busy: float  # processor seconds per second of the clock
    peak_memory_mb: float  # of this process so far

    @property
    def way(self) -> Way:
        """The way to train."""
        return Way(self.device, self.precision, self.threads)


def fastest(speeds: Iterable[TrainingSpeed]) -> tuple[TrainingSpeed, float]:
    """Return the fastest of these speeds, and how many times as fast as the first it is."""
    first, *others = speeds
    best = max([first, *others], key=lambda speed: speed.steps_per_second)
    return best, best.steps_per_second / first.steps_per_second


def record_speeds(speeds: Iterable[TrainingSpeed]) -> None:
    """Remember these speeds for this machine and these versions, instead of earlier ones; without a folder, do not."""
    about = {"machine": _machine(), "measured": time.strftime("%Y-%m-%d")}
    try:
        _record_path().parent.mkdir(parents=True, exist_ok=True)
        write_bytes(_record_path(), json.dumps(about | {"speeds": [speed._asdict() for speed in speeds]}).encode())
    except OSError:
        return


def faster_device(size: str, device: str) -> str:
    """Return a sentence that names a faster device than this one for a size, by the remembered speeds; empty if none.

    Args:
        size: Name of a preset.
        device: Name of the device that `auto` stands for.
    """
    try:
        record = json.loads(_record_path().read_text(encoding="utf-8"))
        speeds = [TrainingSpeed(**speed) for speed in record["speeds"]]
        measured = str(record["measured"])
        known = record["machine"] == _machine()
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    own = [speed for speed in speeds if (speed.size, speed.precision) == (size, FLOAT32)]
    here = [speed for speed in own if speed.device == device]
    if not known or not here:
        return ""
    best, speedup = fastest([*here, *own])
    if best.device == device or speedup < FASTER_BY:
        return ""
    return (
        f"python -m agents.doctor measured on {measured} that {size} trains {speedup:.1f} times as fast on "
        f"{best.device}: type --device {best.device}."
    )


def _machine() -> dict[str, Any]:
    return {"processor": processor(), "torch": versions()["torch"]}


def _record_path() -> Path:
    return folder() / f"speeds-{platform.node() or 'machine'}.json"
