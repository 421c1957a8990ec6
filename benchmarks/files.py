"""Locate the committed results of the benchmarks."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
