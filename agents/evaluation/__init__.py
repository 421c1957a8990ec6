"""Play agents and ensembles on held-out problems, score them, and compare them with intervals."""
