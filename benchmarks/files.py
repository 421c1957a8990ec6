"""Locate the committed results of the benchmarks, and the folder of new ones."""

from pathlib import Path

from agents.runs.run_dir import as_typed

RESULTS = Path(__file__).parent / "results"  # committed, and part of an installed package
_IN_CHECKOUT = (Path(__file__).parents[1] / "pyproject.toml").exists()
NEW_RESULTS = RESULTS if _IN_CHECKOUT else Path("benchmark-results")  # an installed package is never written into


def results_option(folder: Path) -> str:
    """Return what a command needs to be typed with for a folder of results: ` --results DIR`, "" by default."""
    return "" if folder == RESULTS else f" --results {as_typed(folder)}"
