"""Sets of one's own: `folder` and `manifest`."""

from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import encoded, in_classes, pixels, write

CLASSES = {
    "Happy": "happiness",
    "sad": "sadness",
    "ANGRY": "anger",
    "contempt": "contempt",
    "surprised": "surprise",
    "fearful": "fear",
    "Dis": "disgust",
    "calm": "neutral",
}


def folder(folder: Path) -> Miniature:
    """Aliases, upper case, hidden files; equal file names in all class folders."""
    truth = in_classes(("train", "Val", "TEST"), CLASSES, ("0.png", "1.PNG"))
    for number, name in enumerate(truth):
        path = write(folder / name, encoded(pixels(number)))
        write(path.parent / ".DS_Store", b"\0\1")
        write(path.parent / "Thumbs.db", b"\0\1")
    return Miniature(folder, truth, domain="mine")


def manifest(folder: Path) -> Miniature:
    truth: dict[str, str | None] = {
        "a/0.png": "happiness",
        "a/1.png": "surprise",
        "b/0.png#1,2,8,9": "fear",
        "b/0.png": None,
        "c/0.png": "disgust",
        "c/1.png": "sadness",
        "c/2.png": "anger",
        "c/3.png": "neutral",
        "c/4.png": "contempt",
    }
    for number, name in enumerate(name for name in truth if "#" not in name):
        write(folder / name, encoded(pixels(number)))
    lines = ["path,label,split,subject,box,light", "a/0.png,Happy,train,ann,,day", "a/1.png,surprised,val,bob,,day"]
    lines += ["b/0.png,fear,test,bob,1 2 8 9,night", "b/0.png,,test,bob,,night"]
    lines += [f"c/{i}.png,{name},test,,," for i, name in enumerate(("Disgusted", "sad", "ANG", " calm ", "contempt"))]
    write(folder / "faces.csv", "\n".join(lines).encode())
    return Miniature(folder / "faces.csv", truth, domain="mine")
