"""Adapting a run's head to a target without labels."""

from dataclasses import dataclass

from fercache import registry
from fercache.adaptations import Adapted, Scores, SourceFeatures
from fercache.adaptations._guard import why_declined
from fercache.policies import UNGUARDED
from fercache.records import AdaptationRecord
from fercache.trunks import Faces


@dataclass(frozen=True)
class Adapting:
    """An adaptation by `name`, perhaps UNGUARDED, to all `faces` of a target's split, labelled or not."""

    name: str
    source: SourceFeatures
    faces: Faces

    def of(self, scores: Scores) -> tuple[Adapted, AdaptationRecord]:
        """The adaptation of a head, which changes nothing if the guard declines it; and its entry in a record."""
        adapted = registry.adaptation(self.name).adapt(self.faces, scores, self.source)
        guarded = not self.name.endswith(UNGUARDED)
        declined = why_declined(adapted, self.faces, scores=scores, source=self.source) if guarded else ""
        entry = AdaptationRecord(name=self.name, faces=len(self.faces), declined=declined)
        return (Adapted.of(self.source) if declined else adapted), entry
