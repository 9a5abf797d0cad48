"""Adapting a run's head to a target without labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fercache import registry
from fercache.adaptations import Adapted, Scores, SourceFeatures
from fercache.adaptations._guard import why_declined
from fercache.policies import UNGUARDED
from fercache.trunks import Faces

WINDOW = 1024


@dataclass(frozen=True)
class Adapting:
    """An adaptation by `name`, perhaps UNGUARDED, to all `faces` of a target's split, labelled or not."""

    name: str
    source: SourceFeatures
    faces: Faces

    def of(self, scores: Scores) -> tuple[Adapted, str]:
        """The adaptation of a head, which changes nothing if the guard declines it; and the guard's reason, or ""."""
        adapted = registry.adaptation(self.name).adapt(self.faces, scores, self.source)
        unguarded = self.name.endswith(UNGUARDED)
        declined = "" if unguarded else why_declined(adapted, self.faces, scores=scores, source=self.source)
        return (Adapted.of(self.source) if declined else adapted), declined


class Streaming:
    """A head that adapts to the faces as they come: each batch is scored after adapting to the last WINDOW faces.

    It keeps their features (and crops, for heads that read pixels): 2 MB with 512 channels. `declined` is the guard's
    last reason, "" if it accepted.
    """

    def __init__(self, name: str, source: SourceFeatures, scores: Scores) -> None:
        self.declined = ""
        self._name, self._source, self._scores = name, source, scores
        self._window: Faces | None = None

    def __call__(self, faces: Faces) -> Tensor:
        """(N, L) logits of the next faces."""
        self._window = _last(self._window, faces)
        change, self.declined = Adapting(self._name, self._source, self._window).of(self._scores)
        return change.logits(self._scores, faces)


def _last(earlier: Faces | None, faces: Faces) -> Faces:
    """The last WINDOW of both."""
    if earlier is None:
        return faces
    features = torch.cat([earlier.features, faces.features])[-WINDOW:]
    if isinstance(earlier.crops, Tensor) and isinstance(faces.crops, Tensor):
        return Faces(features, torch.cat([earlier.crops, faces.crops])[-WINDOW:])
    return Faces(features)
