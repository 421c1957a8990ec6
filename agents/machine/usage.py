"""Read clocks, memory use and device utilisation."""

import resource
import sys
import time

import torch


def device_use(device: str) -> float | None:
    """How busy the device was in the last moment, in per cent of the time.

    None where it cannot be read: on the cpu, on mps, and on cuda without NVIDIA's library (`pip install nvidia-ml-py`).
    """
    if not device.startswith("cuda"):
        return None
    try:
        return float(torch.cuda.utilization(device))
    except (ImportError, RuntimeError):
        return None


def device_memory_mb(device: str) -> float | None:
    """Memory of the device that this process has used, in MB (10⁶ bytes); None on the cpu.

    On cuda the most that tensors held at once, on mps what the driver holds now (shared with the cpu).
    """
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated(device) / 1e6)
    return float(torch.mps.driver_allocated_memory() / 1e6) if device == "mps" else None


def peak_memory_mb() -> float:
    """The most resident memory this process has used, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)  # bytes on macOS, KiB elsewhere


class Clock:
    """Measures what passes from its making: wall-clock seconds, and seconds of processor time of all threads.

    Args:
        before: what earlier processes of the same training measured.
    """

    def __init__(self, before: tuple[float, float] = (0.0, 0.0)) -> None:
        self._started = time.monotonic() - before[0], time.process_time() - before[1]

    def read(self) -> tuple[float, float]:
        """Wall-clock and processor seconds so far."""
        return time.monotonic() - self._started[0], time.process_time() - self._started[1]
