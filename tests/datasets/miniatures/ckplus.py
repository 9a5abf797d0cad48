"""CK+ as sequences (1 ang 2 con 3 dis 4 fea 5 hap 6 sad 7 sur), and as CK+48."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import in_classes, write, write_images

SEQUENCES = {
    "S005/001": (3, "disgust"),
    "S010/001": (1, "anger"),
    "S010/002": (7, "surprise"),
    "S011/001": (2, "contempt"),
    "S014/001": (4, "fear"),
    "S022/001": (5, "happiness"),
    "S026/001": (6, "sadness"),
    "S028/001": (5, "happiness"),
    "S032/001": (7, "surprise"),
    "S034/001": (1, "anger"),
    "S035/001": (3, "disgust"),
    "S037/001": (6, "sadness"),
}
UNLABELLED = ("S005/002", "S999/001")
FRAMES = 5
CLASSES = {
    "anger": "anger",
    "contempt": "contempt",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sadness": "sadness",
    "surprise": "surprise",
}


def frames(sequence: str) -> list[str]:
    """The names of a sequence's frames, without ending."""
    return [f"{sequence.replace('/', '_')}_{number:08}" for number in range(1, FRAMES + 1)]


def official(folder: Path, landmarks: bool = False) -> Miniature:
    truth = {}
    for sequence in (*SEQUENCES, *UNLABELLED):
        names = frames(sequence)
        write_images(folder / "cohn-kanade-images" / sequence, [f"{name}.png" for name in names])
        write(folder / "cohn-kanade-images" / sequence / f"._{names[0]}.png", b"\0\1")
        for name in names if landmarks else ():
            points = "   4.0000000e+00   6.0000000e+00\n   1.2000000e+01   1.4000000e+01\n"
            write(folder / "Landmarks" / sequence / f"{name}_landmarks.txt", points.encode())
        if sequence in SEQUENCES:
            number, expression = SEQUENCES[sequence]
            label = write(
                folder / "Emotion" / sequence / f"{names[-1]}_emotion.txt", f"   {number}.0000000e+00\n".encode()
            )
            write(label.with_name(".DS_Store"), b"\0\1")
            write(label.with_name(f"._{label.name}"), b"\0\5\26\7")
            shown = {names[0]: "neutral"} | dict.fromkeys(names[-3:], expression)
            truth |= {f"cohn-kanade-images/{sequence}/{name}.png": what for name, what in shown.items()}
    (folder / "Emotion" / UNLABELLED[0]).mkdir()  # the other one has no folder at all
    return Miniature(folder, truth)


def cropped(folder: Path, top: str = "CK+48") -> Miniature:
    names = [f"S{10 * subject:03}_004_0000001{frame}.png" for subject in range(1, 12) for frame in (7, 8, 9)]
    truth = in_classes(("",), CLASSES, names)
    write_images(folder / top, truth)
    return Miniature(folder, truth)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "official": official,
    "landmarks": partial(official, landmarks=True),
    "CK+48": cropped,
    "CK+48-itself": partial(cropped, top=""),
}
