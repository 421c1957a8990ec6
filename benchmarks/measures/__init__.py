"""Store the results of runs and compute all metrics from them."""
