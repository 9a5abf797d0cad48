"""Runs with any content."""

from pathlib import Path
from typing import Any

from fercache.store.run_files import run_files
from fercache.store.runs import write_run


def written(folder: Path, **content: Any) -> Path:
    """A finished run; see `run_files`."""
    return write_run(folder, run_files(folder, **content))
