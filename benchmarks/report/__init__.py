"""Show all results as one HTML page that needs no network."""

from benchmarks.report.page import write_report

__all__ = ["write_report"]
