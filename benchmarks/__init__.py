"""Run the benchmarks: compare sizes and settings over seeds, measure speed, and check the coverage of intervals."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measures.frame import results

__all__ = ["results"]


def __getattr__(name: str) -> Any:
    if name != "results":
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    from benchmarks.measures.frame import results

    return results
