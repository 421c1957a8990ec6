"""Solve problems exactly: the optimal return and the optimal tokens."""
