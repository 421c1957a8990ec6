"""Run batches of episodes, and evaluate policies on them."""
