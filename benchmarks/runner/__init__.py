"""Run the cases of a benchmark in worker processes on this machine or on a Ray cluster."""
