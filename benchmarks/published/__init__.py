"""Compute figures quoted in the documentation: interval coverage, reference policies, English."""
