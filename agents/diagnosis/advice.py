"""Derive advice from the measurements of a machine."""

from itertools import groupby
from typing import Any

from agents.diagnosis.products import Multiplication
from agents.machine.matmul import BF16, LIBRARIES
from agents.machine.speeds import FASTER_BY, TrainingSpeed, fastest

REQUIRED_MEMORY_MB = 3_000  # enough for every size and algorithm; trpo on stable needs 2.7 GB
MIN_CPU_SHARE = 0.8  # processor seconds per wall-clock second; below it, other work runs on the machine


def derive_advice(examination: dict[str, Any]) -> list[str]:
    """Derive recommended options from an examination of the machine, one or two sentences each."""
    chosen, machine = examination["chosen"], examination["machine"]
    others = ", ".join(f"{name}: {state}" for name, state in examination["devices"].items() if name != chosen)
    sentences = [f"Training runs on {chosen} ({others})."]
    paths = [Multiplication(**path) for path in examination["multiplications"]]
    sentences += _advice_on_products([path for path in paths if path.device == chosen and path.gflops])
    speeds = [TrainingSpeed(**speed) for speed in examination["training"]]
    sentences += _advice_on_ways(speeds)
    if any(speed.device == "cpu" and speed.busy < MIN_CPU_SHARE for speed in speeds):
        sentences.append("Other work runs on this machine and lowers these speeds: type the command again later.")
    if machine["memory_mb"] < REQUIRED_MEMORY_MB:
        sentences.append(f"{machine['memory_mb']:,} MB of memory may be too little for stable; type --size fast.")
    return sentences


def _advice_on_ways(speeds: list[TrainingSpeed]) -> list[str]:
    """Recommend the device, precision and number of threads that train fastest, one sentence for each way."""
    faster: dict[str, list[str]] = {}
    for size, group in groupby(speeds, key=lambda speed: speed.size):
        best, speedup = fastest(group)
        if speedup >= FASTER_BY:
            faster.setdefault(best.way.options, []).append(f"{size} trains {speedup:.1f} times as fast")
    if not faster:
        return ["No other device, precision or number of threads that was measured trains clearly faster."]
    return [f"With {options}, {', '.join(sizes)}." for options, sizes in faster.items()]


def _advice_on_products(paths: list[Multiplication]) -> list[str]:
    """Recommend a library for float32 matrix products that is faster than the one in use."""
    (used,) = (path for path in paths if path.used)
    assert used.gflops is not None
    sentences = []
    for path in paths:
        speedup = (path.gflops or 0.0) / used.gflops
        if path == used or path.precision == BF16:
            continue
        if speedup > FASTER_BY:
            sentences.append(
                f"Float32 products are {speedup:.1f} times as fast through {LIBRARIES[path.library]} as through "
                f"{LIBRARIES[used.library]}, which runs use: type --set matmul={path.library}."
            )
        else:
            sentences.append(
                f"Float32 products run through {LIBRARIES[used.library]}, {1 / speedup:.1f} times as fast as "
                f"{LIBRARIES[path.library]}."
            )
    return sentences
