"""What a result was made with."""

import platform
from importlib.metadata import version

PACKAGES = ("fercache", "torch", "open_clip_torch", "timm", "numpy", "h5py", "scikit-learn")


def versions() -> dict[str, str]:
    """Python's version, and those of the packages that change numbers."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
