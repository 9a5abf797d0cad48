"""Every registered adaptation keeps the contract, and adaptations that do not are caught."""

from pathlib import Path

import pytest
import torch

from fercache import registry
from fercache.adaptations import Adaptation, Adapted, Scores, SourceFeatures
from fercache.adaptations.center import Center
from fercache.contracts import check_adaptation
from fercache.trunks import Faces
from tests.contracts import reading_adaptations


@pytest.mark.parametrize("name", registry.names("adaptations"))
def test_every_adaptation_keeps_the_contract(name: str) -> None:
    assert check_adaptation(registry.load("adaptations", name)) == []


class FirstFace(Center):
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        return Adapted.of(source, shift=faces.features[0] - source.mean)


class Drawn(Center):
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        return Adapted.of(source, shift=torch.randn_like(source.mean))


class InPlace(Center):
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        found = super().adapt(faces, scores, source)
        faces.features.sub_(found.shift)
        return found


class PerFace(Center):
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        return Adapted.of(source, shift=faces.features - source.mean)


class Variance(Center):
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        return Adapted.of(source, shift=faces.features.mean(0) / faces.features.std(0))


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [
        (FirstFace(), "depends on the order of the faces"),
        (Drawn(), "returns something else when it is called again"),
        (InPlace(), "changes the faces or the source that it is given"),
        (PerFace(), "returns a shift of shape (1, 48)"),
        (Variance(), "not finite for 1 faces"),
        (reading_adaptations.ReadsLabels(), "imports fercache.loading.labelled_faces"),
    ],
)
def test_a_broken_promise_is_named(plugin: Adaptation, expected: str) -> None:
    assert any(expected in broken for broken in check_adaptation(plugin))


def test_a_file_of_labels_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("0\n")
    assert any("opens labels.csv" in broken for broken in check_adaptation(reading_adaptations.OpensAFile()))
