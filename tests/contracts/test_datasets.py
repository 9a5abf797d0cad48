"""Every registered data set keeps the contract, and data sets that do not are caught."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from fercache import registry
from fercache.datasets import Dataset, FaceImage, Finding
from fercache.datasets.ferplus import FerPlus
from fercache.datasets.folder import Folder
from tests.contracts.dataset_checks import broken_promises
from tests.datasets import miniatures


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_data_set_keeps_the_contract(name: str, tmp_path: Path, empty: Path) -> None:
    build = getattr(miniatures, name.replace("-", "_"), None)
    assert build is not None, f"tests/datasets/miniatures.py builds no '{name}': add a function of that name"
    assert broken_promises(registry.load("datasets", name), build(tmp_path / "miniature"), empty) == []


class Edited(Folder):
    """The folder set, with every face changed by `edit`."""

    def edit(self, face: FaceImage) -> FaceImage:
        return face

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        return map(self.edit, super().faces(root, domain))


class PermutesClasses(Edited):
    def edit(self, face: FaceImage) -> FaceImage:
        swap = {"anger": "contempt", "contempt": "anger"}
        return replace(face, label=swap.get(face.label or "", face.label))


class ReusesIds(Edited):
    def edit(self, face: FaceImage) -> FaceImage:
        return replace(face, id=Path(face.id).name)


class LabelsOutside(Edited):
    expressions: ClassVar = Folder.expressions[:7]


class KeepsFolderNames(Edited):
    def edit(self, face: FaceImage) -> FaceImage:
        return replace(face, split=face.split.replace("validation", "valid"))


class Unlicensed(Edited):
    licence: ClassVar = ""


class TakesAnyDomain(Edited):
    domains: ClassVar = ("mine",)


class ReversesTheSecondTime(Folder):
    calls = 0

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        self.calls += 1
        return iter(list(super().faces(root, domain))[:: 1 if self.calls % 2 else -1])


class LeavesOut(Folder):
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        return iter(list(super().faces(root, domain))[1:])


class ChecksWhatItExpects(Folder):
    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        return [Finding("train", "happiness", 99, 99)]


class TakesAnything(Folder):
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        return super().faces(root, domain) if root and root.name == "miniature" else iter(())


class ForgetsAFile(FerPlus):
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        return (replace(face, votes=face.votes[:10]) for face in super().faces(root, domain) if face.votes)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (PermutesClasses(), "which is anger"),
        (ReusesIds(), "uses an id twice"),
        (LabelsOutside(), "has a label 'contempt' that is not in its expressions"),
        (KeepsFolderNames(), "has a split 'valid'"),
        (Unlicensed(), "empty licence"),
        (TakesAnyDomain(), "does not refuse an unknown domain"),
        (ReversesTheSecondTime(), "something else the second time"),
        (LeavesOut(), "leaves out"),
        (ChecksWhatItExpects(), "finds 99"),
        (TakesAnything(), "does not refuse the root"),
        (ForgetsAFile(), "has 10 votes for 20 columns"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Dataset) else "",
)
def test_a_bad_data_set_is_caught(bad: Dataset, complaint: str, tmp_path: Path, empty: Path) -> None:
    build = miniatures.ferplus if isinstance(bad, FerPlus) else miniatures.folder
    assert any(complaint in promise for promise in broken_promises(bad, build(tmp_path / "miniature"), empty))
