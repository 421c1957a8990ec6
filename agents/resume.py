"""Resume an interrupted run from its last checkpoint."""

from agents.training.resume import resume

__all__ = ["resume"]
