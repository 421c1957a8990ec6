"""List the algorithms and build their SB3 models."""
