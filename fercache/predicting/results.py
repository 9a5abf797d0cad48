"""What a predictor says of an image: a result per face."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fercache.images.alignment import EDGES, Points

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "unknown"
"""The expression of a face whose highest probability is too low."""


@dataclass(frozen=True, slots=True)
class PredictedFace:
    """Probabilities by expression, the highest first; `expression` is the first, or UNKNOWN.

    `box`, `score` and `landmarks` are the detector's (see `FoundFace`); box and score are None where the whole image
    was taken as a crop of a face. `track` is the same number for the same face in the frames of a video.
    """

    expression: str
    probabilities: dict[str, float]
    box: tuple[float, float, float, float] | None = None
    score: float | None = None
    landmarks: Points = ()
    track: int | None = None


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """An image of `width` x `height` pixels and its faces, the largest first; or why it is `unreadable`."""

    name: str
    width: int = 0
    height: int = 0
    faces: tuple[PredictedFace, ...] = ()
    unreadable: str = ""
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON; fields that are empty are left out, and probabilities have six digits."""
        size = {} if self.unreadable else {"width": self.width, "height": self.height}
        notes = {name: text for name in ("unreadable", "warning") if (text := getattr(self, name))}
        faces = {} if self.unreadable else {"faces": [_face_dict(face) for face in self.faces]}
        return {"image": self.name, **size, **notes, **faces}


@dataclass(frozen=True, slots=True)
class PredictedFrame(PredictedImage):
    """A frame of a video, `time` seconds after its first one; `last` if no other follows."""

    time: float = 0.0
    last: bool = False

    def to_dict(self) -> dict[str, Any]:
        """See `PredictedImage.to_dict`."""
        whole = PredictedImage.to_dict(self)
        return {"image": whole.pop("image"), "time": round(self.time, 3), **whole}


def clock(seconds: float) -> str:
    """Minutes and seconds: `12:04.5`."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def answered(face: PredictedFace, probabilities: dict[str, float], unknown_below: float = 0.0) -> PredictedFace:
    """The face with these probabilities and the expression that follows from them; of equal ones the first by name."""
    ordered = dict(sorted(probabilities.items(), key=lambda pair: (-pair[1], pair[0])))
    best, share = next(iter(ordered.items()))
    return replace(face, expression=UNKNOWN if share < unknown_below else best, probabilities=ordered)


def _face_dict(face: PredictedFace) -> dict[str, Any]:
    found: dict[str, Any] = {} if face.track is None else {"track": face.track}
    if face.box is not None:
        found |= {"box": [round(edge, 1) for edge in face.box], "score": round(face.score or 0.0, 4)}
        found["landmarks"] = [[round(x, 1), round(y, 1)] for x, y in face.landmarks]
    shares = {name: round(share, 6) for name, share in face.probabilities.items()}
    return {**found, "expression": face.expression, "probabilities": shares}


MOMENT = ("time", "track")
"""The columns that tables with frames of videos have besides."""


def columns(names: Sequence[str], *, videos: bool = False) -> list[str]:
    """The columns of `rows`; there is one for each of the `names` of expressions, and MOMENT if there are `videos`."""
    return [
        "path",
        *(MOMENT if videos else ()),
        "face",
        *EDGES,
        "score",
        "landmarks",
        "prediction",
        *names,
        "unreadable",
        "warning",
    ]


def rows(image: PredictedImage, names: Sequence[str], *, videos: bool = False) -> list[dict[str, Any]]:
    """A row per face, by column; one without a face for an image without faces. None is a missing value."""
    blank: dict[str, Any] = dict.fromkeys(columns(names, videos=videos))
    blank |= {"time": round(image.time, 3)} if isinstance(image, PredictedFrame) else {}
    blank |= {"path": image.name, "unreadable": image.unreadable, "warning": image.warning}
    return [{**blank, "face": number, **_cells(face)} for number, face in enumerate(image.faces)] or [blank]


def _cells(face: PredictedFace) -> dict[str, Any]:
    found: dict[str, Any] = {"prediction": face.expression, **face.probabilities}
    if face.track is not None:
        found["track"] = face.track
    if face.box is not None:
        found |= zip(EDGES, map(float, face.box), strict=True)
        found |= {"score": face.score, "landmarks": " ".join(f"{at:.1f}" for point in face.landmarks for at in point)}
    return found


def to_frame(images: Iterable[PredictedImage]) -> "pd.DataFrame":
    """A data frame with a row per face, or per image without faces: see `columns`."""
    import pandas as pd

    images = list(images)
    names = sorted({name for image in images for face in image.faces for name in face.probabilities})
    videos = any(isinstance(image, PredictedFrame) for image in images)
    found = [row for image in images for row in rows(image, names, videos=videos)]
    return pd.DataFrame(found, columns=columns(names, videos=videos))
