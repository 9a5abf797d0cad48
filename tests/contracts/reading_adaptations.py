"""Adaptations that read the labels of the target, each in another way."""

from pathlib import Path

from fercache.adaptations import Adapted, Scores, SourceFeatures
from fercache.adaptations.center import Center
from fercache.trunks import Faces


class ReadsLabels(Center):
    """By fercache."""

    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        from fercache.loading.labelled_faces import labels_of

        assert labels_of
        return super().adapt(faces, scores, source)


class OpensAFile(Center):
    """By a file beside it."""

    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        Path("labels.csv").read_text()
        return super().adapt(faces, scores, source)
