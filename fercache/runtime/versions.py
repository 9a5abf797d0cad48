"""Versions, for provenance."""

import platform
from importlib.metadata import version

PACKAGES = ("fercache", "torch", "open_clip_torch", "timm", "numpy", "h5py", "scikit-learn")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that affect numbers."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
