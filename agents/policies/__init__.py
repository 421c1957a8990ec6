"""Define SB3 policy classes and their heads for large vocabularies."""
