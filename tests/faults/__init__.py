"""What may happen to an extraction, made to happen. `python -m tests.faults --kills 500` does the longest of it."""
