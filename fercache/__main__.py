"""`python -m fercache` is `fercache`."""

from fercache.cli import main

main()
