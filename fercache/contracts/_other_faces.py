"""Whether a plugin can read faces that it is not given: by its imports, and by the files that it opens."""

import ast
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fercache

LEAD_TO_FACES = (
    *("audits", "bench", "cli", "datasets", "experiments", "extraction"),
    *("loading", "records", "registry", "reporting", "stages", "store"),
)
"""The packages of fercache that give access to the cache or to images."""
TRUSTED = ("abc", "builtins", "fercache", "torch")
_PYTHONS_OWN = ("/proc", "/sys", "/dev", "/etc", sys.prefix, sys.base_prefix)

_watchers: list[list[str]] = []
_heard = False


def ways_to_faces(plugin: type) -> list[str]:
    """What the modules that define a class and its bases, except TRUSTED ones, import of LEAD_TO_FACES and h5py."""
    names = {each.__module__ for each in plugin.__mro__}
    modules = [sys.modules[name] for name in names if name.partition(".")[0] not in TRUSTED]
    return sorted({name for module in modules for name in _imported(module) if _leads_to_faces(name)})


def _imported(module: Any) -> Iterator[str]:
    """The modules and names that the code of a module imports, at the top or inside of functions."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):  # a class without a file, e.g. from an interactive session
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _leads_to_faces(name: str) -> bool:
    top, _, below = name.partition(".")
    package = fercache.HOME.get(below, below).partition(".")[0]
    return top == "h5py" or (top == "fercache" and package in LEAD_TO_FACES)


@contextmanager
def watched_files() -> Iterator[list[str]]:
    """The files and folders that the body opens, except those of Python, its libraries and the system."""
    global _heard
    opened: list[str] = []
    if not _heard:
        sys.addaudithook(_hear)  # cannot be removed, so it is added once
        _heard = True
    h5py = sys.modules.get("h5py")  # HDF5 opens files without audit events
    plain = h5py.File.__init__ if h5py else None

    def noted(self: Any, name: Any, *given: Any, **named: Any) -> None:
        _hear("open", (name,))
        assert plain is not None
        plain(self, name, *given, **named)

    _watchers.append(opened)
    try:
        if h5py:
            h5py.File.__init__ = noted
        yield opened
    finally:
        _watchers.remove(opened)
        if h5py:
            h5py.File.__init__ = plain


def _hear(event: str, given: tuple[Any, ...]) -> None:
    if _watchers and event in ("open", "os.listdir", "os.scandir") and isinstance(given[0], str | bytes | Path):
        file = Path(given[0].decode() if isinstance(given[0], bytes) else given[0])
        if not _is_pythons_own(file):
            for opened in _watchers:
                opened.append(str(file))


def _is_pythons_own(file: Path) -> bool:
    """Whether a file is read by imports or when threads start."""
    return (
        file.suffix in (".py", ".pyc", ".so")
        or any(file.is_relative_to(place) for place in _PYTHONS_OWN)
        or not {"site-packages", "dist-packages"}.isdisjoint(file.parts)
        or str(file) in sys.path
    )
