"""What a predictor says of an image: a result per face."""

from dataclasses import dataclass
from typing import Any

from fercache.images.alignment import Points

UNKNOWN = "unknown"
"""The expression of a face whose highest probability is too low."""


@dataclass(frozen=True, slots=True)
class PredictedFace:
    """Probabilities by expression, the highest first; `expression` is the first, or UNKNOWN.

    `box`, `score` and `landmarks` are the detector's (see `FoundFace`); box and score are None where the whole image
    was taken as a crop of a face.
    """

    expression: str
    probabilities: dict[str, float]
    box: tuple[float, float, float, float] | None = None
    score: float | None = None
    landmarks: Points = ()


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


def _face_dict(face: PredictedFace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if face.box is not None:
        found = {"box": [round(edge, 1) for edge in face.box], "score": round(face.score or 0.0, 4)}
        found["landmarks"] = [[round(x, 1), round(y, 1)] for x, y in face.landmarks]
    shares = {name: round(share, 6) for name, share in face.probabilities.items()}
    return {**found, "expression": face.expression, "probabilities": shares}
