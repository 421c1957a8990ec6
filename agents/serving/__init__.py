"""Serve exported models over HTTP: batches, a split of the traffic, a log of decisions, changes without a restart.

Nothing here imports torch or Stable-Baselines3: onnxruntime and the environment are enough.
"""
