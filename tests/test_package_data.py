"""A wheel has every file that the package reads."""

import os
import tomllib
from pathlib import Path

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "fercache"


def test_a_wheel_has_every_file_of_the_package() -> None:
    """Else it works from a checkout alone."""
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packed = {path for pattern in setuptools["package-data"]["fercache"] for path in PACKAGE.glob(pattern)}
    there = {
        Path(folder, name)
        for folder, _, names in os.walk(PACKAGE, followlinks=True)
        for name in names
        if not name.endswith((".py", ".pyc", ".md"))
    }
    assert sorted(there - packed) == [] and len(there) > 30


def test_every_folder_with_code_is_a_package() -> None:
    """Folders without `__init__.py` are left out of a wheel."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert sorted(folder for folder in folders if not (folder / "__init__.py").is_file()) == []
