"""Options of `fercache cache`."""

from pathlib import Path
from typing import Any

from fercache.options import Options, option

_NAMES: Any = option(..., "Runs, methods (HEAD: all its seeds), tables (key or file) or datasets.", argument=True)


class RemoveRequest(Options):
    """What to remove."""

    names: tuple[str, ...] = _NAMES


class CollectRequest(Options):
    """What `cache gc` removes besides what is not needed by anything."""

    predictions: bool = option(
        False, "Also remove predictions that can be computed again, by `fercache evaluate --again`."
    )


class CacheExportRequest(Options):
    """What to export, and where to."""

    names: tuple[str, ...] = _NAMES
    file: Path = option(..., "File to write, NAME.tar.", argument=True)
