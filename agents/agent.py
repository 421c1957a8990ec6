"""Play a trained policy: `Agent` holds one, `Player` plays it with options such as `masked=False`."""

from agents.evaluation.agent import Agent, Player

__all__ = ["Agent", "Player"]
