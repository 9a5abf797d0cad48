"""`fercache.toml` and the environment -> Settings: where the cache, the reports and the data sets are."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fercache.errors import UsageError, nearest
from fercache.remote import address_of
from fercache.toml_files import read_toml

FILE = "fercache.toml"
_IN_PATHS = set('/\\:*?"<>|')
"""What some system takes for more than a part of a folder's name."""
_LONGEST = 100


class Settings(BaseModel):
    """Folders, relative to where `fercache.toml` lies; `datasets`: a name (`ferplus`, `folder:office`) and its root."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache: Path = Path("cache")
    reports: Path = Path("reports")
    datasets: dict[str, Path] = Field(default_factory=dict)

    def root_of(self, name: str) -> Path | None:
        """The configured root of a data set, if there is one."""
        return self.datasets.get(name)

    def report(self, name: str) -> Path:
        """The folder of the report `name`. Raises UsageError for what is no name of a folder, on whatever system."""
        blank = name != name.strip() or name in ("", ".", "..")
        if blank or name.startswith("-") or not name.isprintable() or set(name) & _IN_PATHS or len(name) > _LONGEST:
            raise UsageError(
                f"--name {name!r}: write the name of a folder in {self.reports}: up to {_LONGEST} ordinary characters, "
                f"without a hyphen or blank before them, and without {' '.join(sorted(_IN_PATHS))}"
            )
        return self.reports / name


def load_settings(folder: Path | None = None) -> Settings:
    """Settings of `folder` (default: the working folder), where FERCACHE_CACHE and FERCACHE_REPORTS win over the file.

    Raises UsageError when the file does not parse or holds a name that is not known.
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
    return Settings(
        cache=base / settings.cache,
        reports=base / settings.reports,
        datasets={name: _root(base, root) for name, root in settings.datasets.items()},
    )


def _root(base: Path, root: Path) -> Path:
    return root if address_of(root) else base / root.expanduser()


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"'{name}' is not a setting. {nearest(name, Settings.model_fields)}"
    return f"'{name}': {first['msg']}."
