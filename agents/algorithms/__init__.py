"""List the algorithms, their search spaces, and the builders of their SB3 models."""
