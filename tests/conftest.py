"""What several tests need: the real images, where they are there."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

# Tests run side by side; threads of theirs would only wait for each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = [
    "tests.command_line",
    "tests.pixel_encoder",
    "tests.shared_fixtures",
    "tests.outside_plugins",
    "tests.ray_cluster",
]

REPOSITORY = Path(__file__).resolve().parent.parent


def unpack_once(archive: Path) -> Path:
    """The unpacked archive in the folder for temporary files; later test runs find it there."""
    folder = Path(tempfile.gettempdir()) / f"fercache-test-ferplus-{archive.stat().st_size}"
    if not folder.is_dir():
        ours = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
        with tarfile.open(archive) as tar:
            tar.extractall(ours, filter="data")
        try:
            ours.rename(folder)
        except OSError:  # another test process was faster
            shutil.rmtree(ours)
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: FERCACHE_TEST_DATA, or `../shared/data`."""
    return Path(os.environ.get("FERCACHE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")


@pytest.fixture(scope="session")
def ferplus_root(real_data: Path) -> Path:
    """FERPlus in its official layout, real photographs. Skips where they are not there."""
    archive = real_data / "ferplus.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there; FERCACHE_TEST_DATA names the folder that holds it")
    return unpack_once(archive) / "ferplus"
