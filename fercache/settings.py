"""`fercache.toml` and the environment -> Settings: where the cache, reports, datasets and plugins are."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fercache.errors import UsageError, check_length, first_problem, nearest
from fercache.layouts.own_lists import is_list
from fercache.layouts.remote import address_of
from fercache.output_paths import check_output_folder, is_plain_name, shown
from fercache.plugins import use_plugins
from fercache.policies import LARGEST, Which
from fercache.runtime.memory import limit_features, parse_size
from fercache.toml_files import read_toml

FILE = "fercache.toml"


Size = Annotated[int | None, BeforeValidator(lambda given: parse_size(given) if isinstance(given, str) else given)]
"""Bytes; in a file, text such as "2 GB"."""


class FacesOf(BaseModel):
    """What finds the faces in a dataset's photographs, as `extract --faces` and `--which`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    which: Which = LARGEST


FacesSetting = Annotated[
    FacesOf, BeforeValidator(lambda given: {"detector": given} if isinstance(given, str) else given)
]
"""In a file, a detector, or a table of both: `"mtcnn"`, `{ detector = "mtcnn", which = "all" }`."""


class Settings(BaseModel):
    """Paths, relative to where `fercache.toml` lies; `datasets`: a name (`ferplus`, `folder:office`) and its root.

    `plugins` are files and folders with heads, datasets, encoders, trunks and report sections of the user's own.
    `faces`: the name of a dataset of photographs, and what finds the faces in them.
    `memory` is the most that features take in memory (`"2 GB"`), by default a third of the machine's; the rest is read
    from disk. `load_settings` makes both known; for settings made by hand, `fercache.use_plugins` makes plugins known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache: Path = Path("cache")
    reports: Path = Path("reports")
    datasets: dict[str, Path] = Field(default_factory=dict)
    faces: dict[str, FacesSetting] = Field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    memory: Size = None

    def root_of(self, name: str) -> Path | None:
        """The configured root of a dataset, or None."""
        return self.datasets.get(name)

    def report(self, name: str) -> Path:
        """The folder of the report `name`. Raises UsageError for an unsuitable folder name, such as a path."""
        if not is_plain_name(name):
            raise UsageError(
                f"--name {shown(Path(name))!r}: write the name of a folder in {self.reports}, not a path, with letters "
                "or digits at both ends."
            )
        check_length("--name", name)
        return self.reports / name

    def new_report(self, name: str) -> Path:
        """The same, before a report is written: also raises UsageError if it cannot be written."""
        folder = self.report(name)
        check_output_folder(folder, f"The report {name}: reports =")
        return folder


def load_settings(folder: Path | None = None) -> Settings:
    """Settings of `folder` (default: the working folder); FERCACHE_CACHE, FERCACHE_REPORTS and FERCACHE_MEMORY override
    the file.

    Makes its plugins and the limit of memory known. Raises UsageError when the file does not parse or holds a name that
    is not known, and for a plugin that is not there.
    """
    base = folder or Path()
    file = base / FILE
    given = read_toml(file) if file.is_file() else {}
    for name in ("cache", "reports", "memory"):
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
        faces={name: _place_detector(file, name, faces) for name, faces in settings.faces.items()},
        plugins=tuple(_place(file, "plugins", path) for path in settings.plugins),
        memory=settings.memory,
    )
    limit_features(placed.memory)
    use_plugins(placed.plugins, f"`plugins` in {file}")
    return placed


def _place(file: Path, name: str, path: Path) -> Path:
    """A folder named in `file`. Raises UsageError for the home directory of an unknown user."""
    try:
        return path if address_of(path) else file.parent / path.expanduser()
    except RuntimeError:
        raise UsageError(f"{file}: '{name}' = '{path}': no such user. Write the full path.") from None


def _place_detector(file: Path, name: str, faces: FacesOf) -> FacesOf:
    """With the place of its list of boxes, or of its network. Raises UsageError as `_place`."""
    family, colon, network = ("", "", faces.detector) if is_list(faces.detector) else faces.detector.partition(":")
    placed = str(_place(file, name, Path(network))) if network else ""
    return faces.model_copy(update={"detector": family + colon + placed})


def _explain(error: ValidationError) -> str:
    problem = first_problem(error)
    if problem.kind == "extra_forbidden":
        return f"'{problem.name}' is not a setting. {nearest(problem.name, Settings.model_fields)}"
    return f"'{problem.name}': {problem.message}."
