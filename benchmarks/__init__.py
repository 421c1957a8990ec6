"""Measure: the comparison of sizes, speed, and how far the statistics can be trusted."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measures.frame import results

__all__ = ["results"]


def __getattr__(name: str) -> Any:
    if name != "results":
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    from benchmarks.measures.frame import results

    return results
