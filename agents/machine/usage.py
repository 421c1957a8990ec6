"""Measure time, memory use, load and device utilisation."""

import os
import resource
import sys
import time

import torch


def device_use(device: str) -> float | None:
    """Return the current utilisation of the device, in percent of the time.

    None if it is unknown: on the cpu, on mps, and on cuda without NVIDIA's library (`pip install nvidia-ml-py`).
    """
    if not device.startswith("cuda"):
        return None
    try:
        return float(torch.cuda.utilization(device))
    except (ImportError, RuntimeError):
        return None


def device_memory_mb(device: str) -> float | None:
    """Return the device memory used by this process, in MB (10⁶ bytes); None on the cpu.

    On cuda: peak memory of tensors. On mps: memory that the driver holds now, shared with the cpu.
    """
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated(device) / 1e6)
    return float(torch.mps.driver_allocated_memory() / 1e6) if device == "mps" else None


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)  # bytes on macOS, KiB elsewhere


def load_average() -> float | None:
    """Return the mean number of processes that ran or waited during the last minute; None if it is unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


class Clock:
    """Measure wall-clock seconds, and processor seconds of all threads, since its construction.

    Args:
        before: Seconds to add, (wall clock, processor): the time of earlier processes of the same training.
    """

    def __init__(self, before: tuple[float, float] = (0.0, 0.0)) -> None:
        self._started = time.monotonic() - before[0], time.process_time() - before[1]

    def read(self) -> tuple[float, float]:
        """Return the wall-clock seconds and the processor seconds so far."""
        return time.monotonic() - self._started[0], time.process_time() - self._started[1]
