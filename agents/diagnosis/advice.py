"""Derive advice from the measurements of a machine."""

from typing import Any

from agents.diagnosis.products import Multiplication
from agents.machine.matmul import BF16, LIBRARIES

FASTER_BY = 1.15  # times as fast, from which on advice is given
REQUIRED_MEMORY_MB = 3_000  # for every size and algorithm: trpo on stable takes 2.7 GB
MIN_CPU_SHARE = 0.8  # seconds of processor time in a second of the clock, below which something else runs


def advice(found: dict[str, Any]) -> list[str]:
    """What follows from what was found, a sentence or two each."""
    chosen, machine = found["chosen"], found["machine"]
    others = ", ".join(f"{name}: {state}" for name, state in found["devices"].items() if name != chosen)
    told = [f"Training runs on {chosen} ({others})."]
    paths = [Multiplication(**path) for path in found["multiplications"] if path["device"] == chosen and path["gflops"]]
    told += _advice_on_products(paths)
    if chosen == "cpu" and machine["threads"] > 1:
        told.append(
            f"Torch uses {machine['threads']} threads. For several runs side by side, or figures that repeat on "
            "machines with other numbers of cores, type OMP_NUM_THREADS=1 before the command."
        )
    if chosen == "cpu" and any(took["busy"] < MIN_CPU_SHARE for took in found["training"].values()):
        told.append("Other work runs on this machine, and these speeds are lower than they could be: look again later.")
    if machine["memory_mb"] < REQUIRED_MEMORY_MB:
        told.append(f"{machine['memory_mb']:,} MB of memory may be too little for stable; type --size fast.")
    return told


def _advice_on_products(paths: list[Multiplication]) -> list[str]:
    """Whether another way to multiply is faster than the one that is used."""
    (used,) = (path for path in paths if path.used)
    assert used.gflops is not None
    told = []
    for path in paths:
        times = (path.gflops or 0.0) / used.gflops
        if path.precision == BF16 and times > FASTER_BY:
            told.append(f"Products in bf16 are {times:.1f} times as fast: type --precision bf16.")
        elif path.precision == BF16:
            told.append(f"Products in bf16 are no gain here ({times:.1f} times as fast): leave --precision out.")
        elif path != used and times > FASTER_BY:
            told.append(
                f"Float32 products are {times:.1f} times as fast through {LIBRARIES[path.library]} as through "
                f"{LIBRARIES[used.library]}, which runs take: type --set matmul={path.library}."
            )
        elif path != used:
            told.append(
                f"Float32 products run through {LIBRARIES[used.library]}, {1 / times:.1f} times as fast as "
                f"{LIBRARIES[path.library]}."
            )
    return told
