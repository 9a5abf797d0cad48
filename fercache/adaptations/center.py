"""Centring: the target's mean feature is moved to the source's."""

from fercache.adaptations import Adaptation, Adapted, Scores, SourceFeatures
from fercache.trunks import Faces


class Center(Adaptation):
    """x - (mean of the target - mean of the source).

    Assumes that both have the same mix of expressions: on a target with few of them, it moves the expressions too.
    """

    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        """See `Adaptation`; the scores are not used."""
        return Adapted.of(source, shift=faces.features.mean(dim=0) - source.mean)


plugin = Center()
