"""Tune in your own Optuna study: search space, objective, and seeds that `python -m agents.tune` never uses."""

from agents.tuning.objective import objective, own_parameters, search_space, suggested, try_out
from agents.tuning.plan import seed_set

__all__ = ["objective", "own_parameters", "search_space", "seed_set", "suggested", "try_out"]
