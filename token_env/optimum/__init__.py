"""Solve problems exactly: optimal returns and optimal tokens."""
