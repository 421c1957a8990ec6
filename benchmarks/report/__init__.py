"""Write all results as one self-contained HTML page."""

from benchmarks.report.page import write_report

__all__ = ["write_report"]
