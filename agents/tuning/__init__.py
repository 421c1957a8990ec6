"""Run a study: plan, trials, workers, the final rounds, and what is shown of it."""
