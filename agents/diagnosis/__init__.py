"""Examine this machine: its devices, how fast it multiplies and trains, and what to do about it."""
