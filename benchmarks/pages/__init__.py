"""Write the benchmark's table, plots and documents from committed results."""
