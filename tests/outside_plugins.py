"""Plugins outside of the checkout: files in a folder, and a distribution as pip leaves one, which is only files too."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fercache.plugins import forget_plugins

HEAD = '''
from fercache.heads.class_mean import ClassMean

class MyHead(ClassMean):
    """The nearest class mean, under another name."""

plugin = MyHead
'''
DATASET = '''
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fercache.datasets import Dataset, FaceImage

NAMES = ("happiness", "sadness", "neutral")

def stripes(number):
    """An image (16, 16, 3) whose stripes are as wide as its expression's place."""
    bright = np.arange(16) // (1 + number % 3) % 2 == 0
    noise = np.random.default_rng(number).integers(0, 60, (16, 16, 3))
    return (noise + 190 * bright[:, None, None]).astype(np.uint8)

class Stripes(Dataset):
    """Stripes instead of faces."""

    expressions = NAMES
    needs_root = False
    layout = "nothing: the images are computed."
    licence = "none"
    homepage = citation = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        for number in range(90):
            split = "test" if number % 5 == 0 else "validation" if number % 5 == 1 else "train"
            yield FaceImage(f"{number:02}", partial(stripes, number), split, NAMES[number % 3])

plugin = Stripes()
'''
ENCODER = (Path(__file__).parent / "pixel_encoder.py").read_text(encoding="utf-8").partition("\n\n@pytest.fixture")[0]
ENCODER = ENCODER.replace("import pytest\n", "").replace('"pixels"', '"my-pixels"') + "\n\nplugin = PixelEncoder\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Files by their paths in a folder; returns the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def install(folder: Path, entry_points: Mapping[str, Mapping[str, str]], name: str = "my-plugins") -> Path:
    """A distribution in a folder of sys.path: entry points by group (`heads`), name and object; returns the folder."""
    lines = [
        line
        for group, points in entry_points.items()
        for line in (f"[fercache.{group}]", *(f"{point} = {value}" for point, value in points.items()), "")
    ]
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    where = f"{name.replace('-', '_')}-1.0.dist-info"
    return write(folder, {f"{where}/METADATA": metadata, f"{where}/entry_points.txt": "\n".join(lines)})


@pytest.fixture
def no_plugins() -> Iterator[None]:
    """No plugin from outside is known before the test, nor after it."""
    forget_plugins()
    yield
    forget_plugins()
