"""Plugins from outside: entry points of installed distributions, and files and folders named by the user.

Plugins are imported on demand. A folder is a package, so its plugins can import helpers beside them with
`from ._helper import ...`; like in the built-in packages, `_name.py` is not a plugin.
"""

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from fercache.errors import UsageError
from fercache.identity import file_hash

CONTRACTS: Mapping[str, tuple[str, str]] = {
    "datasets": ("fercache.datasets", "Dataset"),
    "encoders": ("fercache.encoders", "Encoder"),
    "detectors": ("fercache.detectors", "Detector"),
    "heads": ("fercache.heads", "Head"),
    "trunks": ("fercache.trunks", "Trunk"),
    "adaptations": ("fercache.adaptations", "Adaptation"),
    "report_sections": ("fercache.reporting.sections", "Section"),
}
"""Kind -> the built-in package, and its base class for plugins of that kind."""
CLASSES = ("detectors", "encoders", "heads", "trunks")
"""Kinds whose plugins are classes; the others' are instances."""

_named: dict[Path, str] = {}
"""The files and folders to load plugins from, and where the user named them."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from: its file, the SHA-256 of its code, and its distribution (`my-plugins 1.0`).

    The code is the file, together with the modules of its package that it uses.
    """

    file: str
    sha256: str
    distribution: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """The part that counts in a key: the file's content, not its path."""
        return {"sha256": self.sha256} | ({"distribution": self.distribution} if self.distribution else {})

    def __str__(self) -> str:
        return self.distribution or self.file


def same_code(one: Origin | None, other: Origin | None) -> bool:
    """Whether two plugins have the same code, as far as is known; built-in ones (None) always do."""
    return (one and one.identity) == (other and other.identity)


@dataclass(frozen=True)
class Outside:
    """A plugin from outside, in a `module`. Messages name its `source`, and `remedy` to fix or remove it."""

    name: str
    source: str
    remedy: str
    module: str
    distribution: str
    fetch: Callable[[], Any]

    @cached_property
    def plugin(self) -> Any:
        """The plugin object. Raises UsageError if its code fails or defines no plugin."""
        try:
            found = self.fetch()
        except (Exception, SystemExit) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
            raise UsageError(f"{self.source} cannot be loaded: {what}{_line(error)}. {self.remedy}") from error
        plugin = getattr(found, "plugin", None) if isinstance(found, ModuleType) else found
        if plugin is None:
            raise UsageError(
                f"{self.source} defines no `plugin`. End the file with `plugin = MyHead` (head, encoder, trunk or "
                "detector), `plugin = MyFaces()` (dataset or adaptation) or `plugin = Section(...)`; name a file of "
                "helpers _name.py."
            )
        return plugin

    @cached_property
    def origin(self) -> Origin:
        """Where it comes from. In a distribution's package, the module that defines its class counts."""
        its_class = _class_of(self.plugin).__module__
        in_package = bool(self.distribution) and _top(its_class) == _top(self.module)
        module = sys.modules[its_class if in_package else self.module]
        return Origin(str(module.__file__), _code_hash(module), self.distribution)


def use_plugins(paths: Iterable[Path | str], named_by: str = "use_plugins") -> None:
    """Registers the plugins of files and folders; `named_by` is where the user named them.

    Raises UsageError for a path that does not exist or is not a Python file.
    """
    for path in (Path(path).resolve() for path in paths):
        where = f"{named_by}: {path}"
        if not path.exists():
            raise UsageError(f"{where}: the path does not exist. Correct it, or remove it.")
        if path.is_file() and (path.suffix != ".py" or "." in path.stem):
            raise UsageError(f"{where}: a plugin is a Python file, such as my_head.py, or a folder of such files.")
        if path.is_file() and path.name.startswith("_"):
            raise UsageError(f"{where}: files whose names begin with _ are not plugins. Rename the file.")
        if path.is_dir() and not any(_stems(path)):
            raise UsageError(f"{where}: this folder has no Python files. Name the folder that has the plugins.")
        _named[path] = named_by
        _package_of(path if path.is_dir() else path.parent)


def used_plugins() -> tuple[str, ...]:
    """The files and folders that plugins are loaded from, to be passed to another process."""
    return tuple(map(str, _named))


def forget_plugins() -> None:
    """Forgets every file and folder and what was loaded from them, so that changed files can be loaded again."""
    for folder in {path if path.is_dir() else path.parent for path in _named}:
        package = _package_of(folder)
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
    _named.clear()
    _file_plugins.cache_clear()
    _entry_plugins.cache_clear()


def from_outside(kind: str) -> Iterator[Outside]:
    """The plugins of a kind: entry points, then files in the order in which they were named.

    Raises UsageError for a name that does not fit file names and options.
    """
    of_files = [outside for outside, its_kind in _file_plugins(used_plugins()) if its_kind == kind]
    for outside in (*_entry_plugins(kind), *of_files):
        if not re.fullmatch(r"[\w-]+", outside.name):
            raise UsageError(f"{outside.source}: '{outside.name}' is not a plugin name: use letters, digits, - and _.")
        yield outside


def check_kind(outside: Outside, kind: str) -> Any:
    """Loads a plugin from outside. Raises UsageError if it is not of the `kind`."""
    plugin = outside.plugin
    if kind_of(plugin) != kind:
        module, name = CONTRACTS[kind]
        raise UsageError(
            f"{outside.source} is a {_class_of(plugin).__name__}, expected a subclass of {module}.{name}. "
            f"{outside.remedy}"
        )
    _check_form(outside, plugin, kind)
    return plugin


def kind_of(plugin: Any) -> str | None:
    """The kind of `plugin` by its base class, or None. Imports nothing."""
    for kind, (module, name) in CONTRACTS.items():
        contract = getattr(sys.modules.get(module), name, None)  # a subclass has imported it
        if contract is not None and issubclass(_class_of(plugin), contract):
            return kind
    return None


@cache
def _file_plugins(paths: tuple[str, ...]) -> list[tuple[Outside, str]]:
    """All plugins of files, with their kinds; imports all of them. Raises UsageError for a plugin of no kind."""
    found: dict[str, tuple[Outside, str]] = {}
    for path in map(Path, paths):
        folder, stems = (path, list(_stems(path))) if path.is_dir() else (path.parent, [path.stem])
        for outside in (_from_file(folder, stem, _named[path]) for stem in stems):
            plugin, kind = outside.plugin, kind_of(outside.plugin)
            if kind is None:
                raise UsageError(
                    f"{outside.source}: `plugin` is a {_class_of(plugin).__name__}, expected a Dataset, Encoder, Head, "
                    "Trunk, Adaptation, Detector or Section of fercache. Make it a subclass of one of them."
                )
            _check_form(outside, plugin, kind)
            found.setdefault(outside.module, (outside, kind))  # a file and its folder may both be named
    return list(found.values())


@cache
def _entry_plugins(kind: str) -> list[Outside]:
    return [_from_entry(point) for point in entry_points(group=f"fercache.{kind}")]


def _from_file(folder: Path, stem: str, named_by: str) -> Outside:
    file = folder / f"{stem}.py" if (folder / f"{stem}.py").is_file() else folder / stem
    module = f"{_package_of(folder)}.{stem}"
    return Outside(
        name=stem.replace("_", "-"),
        source=str(file),
        remedy=f"Fix the file, or remove it from {named_by}.",
        module=module,
        distribution="",
        fetch=lambda: importlib.import_module(module),
    )


def _from_entry(point: EntryPoint) -> Outside:
    name = point.dist.name if point.dist else "?"
    distribution = f"{name} {point.dist.version}" if point.dist else ""
    return Outside(
        name=point.name.replace("_", "-"),
        source=f"the entry point {point.name} = {point.value} of {distribution or 'a distribution'}",
        remedy=f"Reinstall it: pip install --force-reinstall {name}; or remove it: pip uninstall {name}.",
        module=point.module,
        distribution=distribution,
        fetch=point.load,
    )


def _check_form(outside: Outside, plugin: Any, kind: str) -> None:
    """Raises UsageError for an instance instead of a class, or the reverse, and for an abstract class."""
    name = _class_of(plugin).__name__
    if isinstance(plugin, type) != (kind in CLASSES):
        raise UsageError(f"{outside.source}: write `plugin = {name}{'' if kind in CLASSES else '()'}`.")
    if inspect.isabstract(plugin):
        missing = ", ".join(sorted(plugin.__abstractmethods__))
        raise UsageError(f"{outside.source}: {name} does not define {missing}. See CONTRIBUTING.md.")


def _class_of(plugin: Any) -> type:
    return plugin if isinstance(plugin, type) else type(plugin)


def _stems(folder: Path) -> Iterator[str]:
    found = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return (name for name in found if not name.startswith("_"))


def _package_of(folder: Path) -> str:
    """The package name for the modules of a folder; the same in every process that has the folder."""
    name = f"fercache_plugins_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return name


def _line(error: BaseException) -> str:
    """The place in the user's code where `error` was raised."""
    if isinstance(error, SyntaxError):  # its text has the place
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "importlib" not in f.filename and Path(f.filename).parent != Path(__file__).parent]
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""


def _code_hash(module: ModuleType) -> str:
    """The SHA-256 of the module's file, combined with those of the modules of its package that it uses."""
    used: dict[str, ModuleType] = {}
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if one.__name__ not in used and getattr(one, "__file__", None):
            used[one.__name__] = one
            waiting += _modules_used(one)
    hashes = sorted(file_hash(Path(str(one.__file__))) for one in used.values())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _modules_used(module: ModuleType) -> Iterator[ModuleType]:
    """The modules of the same package that a module imports names from."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and _top(name) == _top(module.__name__) and name in sys.modules:
            yield sys.modules[name]


def _top(module: str) -> str:
    return module.partition(".")[0]
