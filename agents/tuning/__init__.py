"""Run a study: plan, trials, workers, final stages, and its display."""
