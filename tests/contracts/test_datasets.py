"""Every registered dataset keeps the contract, and datasets that do not are caught."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from fercache import registry
from fercache.contracts import Miniature, check_dataset
from fercache.datasets import Dataset, FaceImage, Finding
from fercache.datasets.ferplus import FerPlus
from fercache.datasets.folder import Folder
from tests.datasets.miniatures import MINIATURES
from tests.datasets.miniatures.ferplus import ferplus
from tests.datasets.miniatures.own_images import folder

Builder = Callable[[Path], Miniature]


EVERY_MINIATURE = pytest.mark.parametrize(
    ("name", "build"),
    [
        pytest.param(name, build, id=f"{name}-{variant}")
        for name, variants in MINIATURES.items()
        for variant, build in variants.items()
    ],
)


def test_every_registered_dataset_has_a_miniature_and_no_other() -> None:
    lacking, unknown = (
        set(registry.names("datasets")) - set(MINIATURES),
        set(MINIATURES) - set(registry.names("datasets")),
    )
    assert not lacking, f"no miniature of {', '.join(lacking)}: add a file and a line to tests/datasets/miniatures"
    assert not unknown, f"miniatures of {', '.join(unknown)}, which fercache/datasets does not have"


@EVERY_MINIATURE
def test_every_dataset_keeps_the_contract(name: str, build: Builder, tmp_path: Path) -> None:
    assert check_dataset(registry.load("datasets", name), build(tmp_path / "miniature")) == []


@pytest.mark.parametrize("name", MINIATURES)
def test_miniatures_have_every_expression_so_that_no_swap_goes_unnoticed(name: str, tmp_path: Path) -> None:
    truths = [build(tmp_path / variant).truth for variant, build in MINIATURES[name].items()]
    assert {label for truth in truths for label in truth.values()} >= set(registry.load("datasets", name).expressions)


@EVERY_MINIATURE
def test_two_labels_swapped_are_caught(name: str, build: Builder, tmp_path: Path) -> None:
    miniature = build(tmp_path / "miniature")
    first, second, *_ = dict.fromkeys(filter(None, miniature.truth.values()))
    complaints = check_dataset(swapped(registry.load("datasets", name), first, second), miniature)
    assert {
        f"labels {id} as {second}, expected {first}" for id, label in miniature.truth.items() if label == first
    } <= {*complaints}


def swapped(dataset: Dataset, first: str, second: str) -> Dataset:
    """The same dataset, with the labels, or the columns of votes, of two expressions swapped."""
    other = {first: second, second: first}
    columns = [column.split(":") for column in dataset.vote_columns]
    places = [dataset.vote_columns.index(f"{file}:{other.get(name, name)}") for file, name in columns]

    def swap(face: FaceImage) -> FaceImage:
        votes = tuple(face.votes[place] for place in places) if face.votes else None
        return replace(face, label=other.get(face.label or "", face.label), votes=votes)

    class Swapped(type(dataset)):  # type: ignore[misc]
        def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
            return map(swap, super().faces(root, domain))

    return Swapped()


class Edited(Folder):
    """The folder dataset, with every face changed by `edit`."""

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
        (PermutesClasses(), "expected anger"),
        (ReusesIds(), "uses an id twice"),
        (LabelsOutside(), "has a label 'contempt' that is not in its expressions"),
        (KeepsFolderNames(), "has an unknown split 'valid'"),
        (Unlicensed(), "empty licence"),
        (TakesAnyDomain(), "does not refuse an unknown domain"),
        (ReversesTheSecondTime(), "other faces the second time"),
        (LeavesOut(), "leaves out"),
        (ChecksWhatItExpects(), "finds 99"),
        (TakesAnything(), "does not refuse the root"),
        (ForgetsAFile(), "has 10 votes for 20 columns"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Dataset) else "",
)
def test_a_bad_dataset_is_caught(bad: Dataset, complaint: str, tmp_path: Path) -> None:
    build = ferplus if isinstance(bad, FerPlus) else folder
    assert any(complaint in promise for promise in check_dataset(bad, build(tmp_path / "miniature")))
