"""Reference numbers of the losses, of the project's own making; `python -m tests.golden` writes them again."""
