"""Images and files as people's folders hold them, and worse: `python -m tests.hostile` tries thousands of each."""
