"""Faces that a head got wrong with high confidence: the quickest way to see what it confuses."""

from dataclasses import dataclass

from fercache.reporting.sections._face_images import FaceFiles
from fercache.reporting.sections._target_errors import CERTAIN, TargetErrors, wrong_of

MOST = 9


@dataclass(frozen=True)
class ConfidentError:
    """A face that a method got wrong: `confidence` (0 to 1) is what it gave the wrong expression.

    `image` is a data URI, and `place` its place in the files of the target's images, -1 without one.
    """

    id: str
    truth: str
    predicted: str
    confidence: float
    image: str | None
    place: int


def confident_errors(errors: TargetErrors, faces: FaceFiles) -> list[ConfidentError]:
    """The errors of the leading method on a target, over its seeds, most confident first."""
    images, places = faces.images.get(errors.target, {}), faces.places(errors.target)
    names = errors.expressions
    return [
        ConfidentError(
            id=id,
            truth=names[errors.truth[row]],
            predicted=names[predicted],
            confidence=int(errors.methods[0].sure[row, predicted]) / CERTAIN,
            image=images.get(id),
            place=places.get(id, -1),
        )
        for row, predicted in wrong_of(errors, 0, MOST)
        for id in (str(errors.id[row]),)
    ]
