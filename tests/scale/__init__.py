"""Measurements of the light stages on tables of millions of faces: `python -m tests.scale --help`."""
