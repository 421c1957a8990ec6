"""Provide `Agent`, a trained policy with its task, and `Player`, which plays it with options such as `masked=False`."""

from agents.evaluation.agent import Agent, Player

__all__ = ["Agent", "Player"]
