"""Estimates without labels, measured: `python -m tests.estimates` prints how good they are, as Markdown."""
