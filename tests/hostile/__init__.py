"""Pictures as people's folders hold them, and worse. `python -m tests.hostile` extracts ten thousand."""
