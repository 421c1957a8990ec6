"""Locate the results that are committed with the project."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
