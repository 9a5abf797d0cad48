"""Scores, their confidence intervals, comparisons of methods, and the selection of a run's snapshot."""
