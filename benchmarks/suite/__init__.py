"""Declare the benchmarks: cases, seeds, and the figures that were reported."""
