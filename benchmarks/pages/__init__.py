"""Build tables, plots and documents from results."""
