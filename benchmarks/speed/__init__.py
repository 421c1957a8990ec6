"""Measure speed: environment, training, solver, and the overhead of a run."""
