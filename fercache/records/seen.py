"""What a run has seen of a target, as far as names and counts say it: a target without any of it is unseen.

A set is seen through the encoder's training sets and through those that the head was trained on, in three ways: it is
one of them, it is declared to have the same images as one (`Dataset.pictures_of`), or images of it are there pixel
for pixel. Names are judged here, so that records which say no more can be judged by them; `stages.provenance` compares
pixels.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from fercache import registry
from fercache.datasets import POOL, DatasetName
from fercache.errors import UsageError

How = Literal["same set", "same pictures", "identical images"]
By = Literal["encoder", "source"]

SAME_SET: Final = "same set"
SAME_PICTURES: Final = "same pictures"
IDENTICAL: Final = "identical images"

_TRAINED = {"encoder": "the encoder", "source": "the head"}


class Seen(BaseModel):
    """One way in which a target was seen: by the encoder, or by the head in its source.

    `through` is the set that was trained on, "" where a record does not say which. `images` is how many of the scored
    faces are there with exactly the same pixels, None where they could not be counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By
    through: str
    how: How
    images: NonNegativeInt | None = None

    def reason(self, faces: int) -> str:
        """Why the target is not unseen, of which so many `faces` were scored."""
        trained, set_ = _TRAINED[self.by], f"{self.through}, which {_TRAINED[self.by]} was trained on"
        counted = "" if self.images is None else f"{self.images:,} of its {faces:,} images"
        if self.how == SAME_SET:
            through = self.through or "this set, or on one with its pictures"
            return f"{trained} was trained on {through}" + (f", which has {counted}" if self.images else "")
        if self.images:
            return f"{counted} are in {set_}"
        return f"it has the photographs of {set_}" + (f" ({counted} with the very same pixels)" if counted else "")


def declared(target: DatasetName, other: DatasetName) -> How | None:
    """How two sets are related by what their names say, None where they are not; splits and corruptions aside."""
    if target.clean == other.clean:
        return SAME_SET
    return SAME_PICTURES if _pictures(target) == _pictures(other) else None


def _pictures(name: DatasetName) -> str:
    """A name for the photographs of a set, the same for all sets that are declared to share theirs.

    So the relation is symmetric and transitive. Of a set that holds two others it says that these two are related as
    well: rather too much than too little. Domains are sets of their own unless their family is related to another.
    """
    related = _relatives(name.family)
    return min(related) if len(related) > 1 else str(name.clean)


@cache
def _relatives(family: str) -> frozenset[str]:
    """The families that have the images of `family`, itself among them."""
    links = [(name, other) for name in registry.names("datasets") for other in _plugin_pictures(name)]
    found = {family}
    while more := {name for link in links if not found.isdisjoint(link) for name in link} - found:
        found |= more
    return frozenset(found)


def _plugin_pictures(family: str) -> tuple[str, ...]:
    pictures: tuple[str, ...] = registry.load("datasets", family).images_of
    return pictures


def relatives(family: str) -> tuple[str, ...]:
    """The other families with the same images, sorted."""
    return tuple(sorted(_relatives(family) - {family}))


def seen_by_names(target: str, source: str, by_encoder: bool) -> tuple[Seen, ...]:
    """What a record says that was written before images were compared: its source, and whether the encoder saw it."""
    found = [Seen(by="encoder", through="", how=SAME_SET)] if by_encoder else []
    for part in source.split(POOL):
        how = declared_by_text(target, part)
        found += [Seen(by="source", through=part, how=how)] if how else []
    return tuple(found)


def declared_by_text(target: str, other: str) -> How | None:
    """`declared`, of what may be no name of a set: anything may have been trained on, and be called anything."""
    try:
        return declared(DatasetName.parse(target), DatasetName.parse(other))
    except UsageError:
        return SAME_SET if target == other else None


def reasons(seen: Iterable[Seen], faces: int, by: By | None = None) -> list[str]:
    """Why a target is not unseen, each reason once; `by` one of both alone."""
    return list(dict.fromkeys(each.reason(faces) for each in seen if by in (None, each.by)))
