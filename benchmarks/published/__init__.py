"""Compute figures that documentation quotes: interval coverage, reference policies, English."""
