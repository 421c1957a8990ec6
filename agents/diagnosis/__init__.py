"""Examine this machine: its devices, the speed of matrix products and training, and recommended options."""
