"""Tar shards, as webdataset writes them."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import encoded, pixels, write

NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")


def tar(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def image(number: int) -> bytes:
    return encoded(pixels(number))


def shards(folder: Path) -> Miniature:
    """Labels as names, as numbers and in JSON; splits by the shard's name, and by JSON."""
    truth: dict[str, str | None] = {}
    for split, first in (("train", 0), ("val", 10)):
        rows: list[tuple[str | tarfile.TarInfo, bytes]] = []
        for number, name in enumerate(NAMES, first):
            rows += [(f"{number:04}.png", image(number)), (f"{number:04}.cls", str(number - first).encode())]
            truth[f"{split}-000000.tar/{number:04}.png"] = name
        tar(folder / f"{split}-000000.tar", rows)
    write(folder / "labels.csv", "\n".join(["label,expression", *(f"{i},{n}" for i, n in enumerate(NAMES))]).encode())
    about = json.dumps({"label": 3, "split": "test", "subject": "ann"}).encode()
    tar(folder / "test-000000.tar", [("a/x.json", about), ("a/x.jpg", image(30)), ("a/y.png", image(31))])
    return Miniature(
        folder, truth | {"test-000000.tar/a/x.jpg": "happiness", "test-000000.tar/a/y.png": None}, domain="mine"
    )


def one(folder: Path) -> Miniature:
    """A single tar, with names for labels."""
    rows = [
        (f"{n}.{end}", data)
        for n, name in enumerate(NAMES)
        for end, data in (("png", image(n)), ("cls", name.encode()))
    ]
    path = tar(folder / "test-1.tar", rows)
    return Miniature(path, {f"test-1.tar/{n}.png": name for n, name in enumerate(NAMES)}, domain="mine")


VARIANTS = {"shards": shards, "one": one}
