"""Define SB3 policy classes, features extractors and action distributions for large vocabularies."""
