"""Measure: the comparison of sizes, speed, and how far the statistics can be trusted."""

from benchmarks.rows import results

__all__ = ["results"]
