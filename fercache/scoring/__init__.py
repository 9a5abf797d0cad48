"""Scores, how sure they are, which of two methods is better, and which snapshot of a run counts."""
