"""Store the results of runs and compute every metric from them."""
