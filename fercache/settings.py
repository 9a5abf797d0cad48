"""`fercache.toml` and the environment -> Settings: where the cache, reports, datasets and plugins are."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fercache.errors import UsageError, check_length, nearest
from fercache.layouts.remote import address_of
from fercache.output_paths import check_output_folder, is_plain_name, shown
from fercache.plugins import use_plugins
from fercache.toml_files import read_toml

FILE = "fercache.toml"


class Settings(BaseModel):
    """Paths, relative to where `fercache.toml` lies; `datasets`: a name (`ferplus`, `folder:office`) and its root.

    `plugins` are files and folders with heads, datasets, encoders, trunks and report sections of the user's own.
    `load_settings` makes them known; for settings made by hand, `fercache.use_plugins` does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache: Path = Path("cache")
    reports: Path = Path("reports")
    datasets: dict[str, Path] = Field(default_factory=dict)
    plugins: tuple[Path, ...] = ()

    def root_of(self, name: str) -> Path | None:
        """The configured root of a data set, if there is one."""
        return self.datasets.get(name)

    def report(self, name: str) -> Path:
        """The folder of the report `name`. Raises UsageError for a name that no folder should have, such as a path."""
        if not is_plain_name(name):
            raise UsageError(
                f"--name {shown(Path(name))!r}: write the name of a folder in {self.reports}, not a path, with letters "
                "or digits at both ends."
            )
        check_length("--name", name)
        return self.reports / name

    def new_report(self, name: str) -> Path:
        """The same, before a report is written: also raises UsageError where it cannot be."""
        folder = self.report(name)
        check_output_folder(folder, f"The report {name}: reports =")
        return folder


def load_settings(folder: Path | None = None) -> Settings:
    """Settings of `folder` (default: the working folder), where FERCACHE_CACHE and FERCACHE_REPORTS win over the file.

    Makes its plugins known. Raises UsageError when the file does not parse or holds a name that is not known, and for a
    plugin that is not there.
    """
    base = folder or Path()
    file = base / FILE
    given = read_toml(file) if file.is_file() else {}
    for name in ("cache", "reports"):
        variable = os.environ.get(f"FERCACHE_{name.upper()}")
        if variable:
            given[name] = variable
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise UsageError(f"{file}: {_explain(error)}") from None
    placed = Settings(
        cache=_place(file, "cache", settings.cache),
        reports=_place(file, "reports", settings.reports),
        datasets={name: _place(file, name, root) for name, root in settings.datasets.items()},
        plugins=tuple(_place(file, "plugins", path) for path in settings.plugins),
    )
    use_plugins(placed.plugins, f"`plugins` in {file}")
    return placed


def _place(file: Path, name: str, path: Path) -> Path:
    """A folder as `file` means it. Raises UsageError for a home directory that nobody knows."""
    try:
        return path if address_of(path) else file.parent / path.expanduser()
    except RuntimeError:
        raise UsageError(f"{file}: '{name}' = '{path}': there is no such user. Write the whole path.") from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"'{name}' is not a setting. {nearest(name, Settings.model_fields)}"
    return f"'{name}': {first['msg']}."
