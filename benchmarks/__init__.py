"""Measure: speed, and later the comparison of sizes."""
