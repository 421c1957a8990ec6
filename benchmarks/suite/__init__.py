"""Define the benchmarks: their cases, and the figures of the original report."""
