"""Benchmarks of extraction and training on this machine."""
