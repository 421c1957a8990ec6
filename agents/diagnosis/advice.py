"""Derive advice from the measurements of a machine."""

from typing import Any

from agents.diagnosis.products import Multiplication
from agents.machine.matmul import BF16, LIBRARIES

FASTER_BY = 1.15  # smallest speed-up that is worth advice
REQUIRED_MEMORY_MB = 3_000  # enough for every size and algorithm; trpo on stable needs 2.7 GB
MIN_CPU_SHARE = 0.8  # processor seconds per wall-clock second; below it, other work runs on the machine


def derive_advice(examination: dict[str, Any]) -> list[str]:
    """Derive recommended options from an examination of the machine, one or two sentences each."""
    chosen, machine = examination["chosen"], examination["machine"]
    others = ", ".join(f"{name}: {state}" for name, state in examination["devices"].items() if name != chosen)
    sentences = [f"Training runs on {chosen} ({others})."]
    paths = [Multiplication(**path) for path in examination["multiplications"]]
    sentences += _advice_on_products([path for path in paths if path.device == chosen and path.gflops])
    if chosen == "cpu" and machine["threads"] > 1:
        sentences.append(
            f"Torch uses {machine['threads']} threads. For several runs in parallel, or results that do not depend "
            "on the number of cores, type OMP_NUM_THREADS=1 before the command."
        )
    if chosen == "cpu" and any(speed["busy"] < MIN_CPU_SHARE for speed in examination["training"].values()):
        sentences.append("Other work runs on this machine and lowers these speeds: type the command again later.")
    if machine["memory_mb"] < REQUIRED_MEMORY_MB:
        sentences.append(f"{machine['memory_mb']:,} MB of memory may be too little for stable; type --size fast.")
    return sentences


def _advice_on_products(paths: list[Multiplication]) -> list[str]:
    """Recommend a library or precision of matrix products that is faster than the current one."""
    (used,) = (path for path in paths if path.used)
    assert used.gflops is not None
    sentences = []
    for path in paths:
        speedup = (path.gflops or 0.0) / used.gflops
        if path.precision == BF16 and speedup > FASTER_BY:
            sentences.append(f"Products in bf16 are {speedup:.1f} times as fast: type --precision bf16.")
        elif path.precision == BF16:
            sentences.append(f"Products in bf16 are no gain here ({speedup:.1f} times as fast): leave --precision out.")
        elif path != used and speedup > FASTER_BY:
            sentences.append(
                f"Float32 products are {speedup:.1f} times as fast through {LIBRARIES[path.library]} as through "
                f"{LIBRARIES[used.library]}, which runs use: type --set matmul={path.library}."
            )
        elif path != used:
            sentences.append(
                f"Float32 products run through {LIBRARIES[used.library]}, {1 / speedup:.1f} times as fast as "
                f"{LIBRARIES[path.library]}."
            )
    return sentences
