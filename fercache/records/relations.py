"""What a run has seen of a target, by names and counts; without any of it, the target is unseen.

A dataset is seen through the training data of the encoder and of the head, in three ways: it is part of them, it is
declared to have the same images as a part (`Dataset.images_of`), or some of its images occur there pixel for pixel.
This module compares names, which is all that old records have; `loading.provenance` compares pixels.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.splits import POOL

How = Literal["same set", "same pictures", "identical images"]
By = Literal["encoder", "source"]

SAME_SET: Final = "same set"
SAME_PICTURES: Final = "same pictures"
IDENTICAL: Final = "identical images"

_TRAINED = {"encoder": "the encoder", "source": "the head"}


class Seen(BaseModel):
    """One way in which a target was seen: by the encoder, or by the head in its source.

    `through` is the training dataset, "" if the record does not name it. `images` is how many of the scored faces occur
    there with exactly the same pixels, None if they could not be counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By
    through: str
    how: How
    images: NonNegativeInt | None = None

    def reason(self, faces: int) -> str:
        """Why the target, with this number of scored `faces`, is not unseen."""
        trained, set_ = _TRAINED[self.by], f"{self.through}, which {_TRAINED[self.by]} was trained on"
        counted = "" if self.images is None else f"{self.images:,} of its {faces:,} images"
        if self.how == SAME_SET:
            through = self.through or "this dataset, or on one with its images"
            return f"{trained} was trained on {through}" + (f", which has {counted}" if self.images else "")
        if self.images:
            return f"{counted} are in {set_}"
        return f"it has the photographs of {set_}" + (f" ({counted} with identical pixels)" if counted else "")


def declared(target: DatasetName, other: DatasetName) -> How | None:
    """How two datasets are related by name, whatever the split and corruption; None if they are not."""
    if target.clean == other.clean:
        return SAME_SET
    return SAME_PICTURES if photographs(target) == photographs(other) else None


def photographs(name: DatasetName) -> str:
    """A name for the photographs of a dataset, the same for all datasets that are declared to share theirs.

    So the relation is symmetric and transitive. If a dataset contains two others, these two count as related: too much
    rather than too little. Domains are separate datasets unless their family is related to another.
    """
    related = _relatives(name.family)
    return min(related) if len(related) > 1 else str(name.clean)


@cache
def _relatives(family: str) -> frozenset[str]:
    """The families that share images with `family`, including itself."""
    links = [(name, other) for name in registry.names("datasets") for other in _declared_images(name)]
    found = {family}
    while more := {name for link in links if not found.isdisjoint(link) for name in link} - found:
        found |= more
    return frozenset(found)


def _declared_images(family: str) -> tuple[str, ...]:
    images: tuple[str, ...] = registry.load("datasets", family).images_of
    return images


def relatives(family: str) -> tuple[str, ...]:
    """The other families with the same images, sorted."""
    return tuple(sorted(_relatives(family) - {family}))


def seen_by_names(target: str, source: str, by_encoder: bool) -> tuple[Seen, ...]:
    """What was seen, for a record from before images were compared: by its source and `by_encoder`."""
    found = [Seen(by="encoder", through="", how=SAME_SET)] if by_encoder else []
    for part in source.split(POOL):
        how = declared_by_text(target, part)
        found += [Seen(by="source", through=part, how=how)] if how else []
    return tuple(found)


def declared_by_text(target: str, other: str) -> How | None:
    """`declared`, for texts that may not be dataset names, such as those of imported predictions."""
    try:
        return declared(DatasetName.parse(target), DatasetName.parse(other))
    except UsageError:
        return SAME_SET if target == other else None


def reasons(seen: Iterable[Seen], faces: int, by: By | None = None) -> list[str]:
    """Why a target is not unseen, each reason once; optionally only `by` the encoder or the source."""
    return list(dict.fromkeys(each.reason(faces) for each in seen if by in (None, each.by)))
