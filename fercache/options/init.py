"""Options of `fercache init`."""

from pathlib import Path

from fercache.options import Options, option


class InitRequest(Options):
    """Where to look for datasets, and the experiment `name`, also of its file. Existing files are kept."""

    folders: tuple[Path, ...] = option((), "Folders to search for datasets.", argument=True)
    name: str = option("experiment", "Name of the experiment; its file is NAME.toml.")
    overwrite: bool = option(False, "Replace fercache.toml and the experiment if they exist.")
