"""What is planted in folders of faces is found in their tables, and written where it can be read."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fercache import Settings
from fercache.errors import UsageError
from fercache.options.audit import AuditRequest
from fercache.stages.audit import Audit, audit
from tests.audits.planted import PLANTED, draw_folder, extracted, first_of
from tests.datasets.miniatures.ferplus import ferplus
from tests.pixel_encoder import PixelEncoder

SWAPPED = {"anger": "disgust", "disgust": "anger"}

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def audited(settings: Settings, *sets: str) -> Audit:
    return audit(settings, AuditRequest(datasets=sets, device="cpu"))


def test_planted_copies_are_found_and_counted(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    found = audited(settings, "folder:mine")
    assert found.folder == settings.reports / "audit-folder-mine"
    leaks = (found.folder / "leaks.csv").read_text(encoding="utf-8").splitlines()
    assert leaks == [
        "place,other,images,images_of_other,identical,near,conflicting",
        "folder:mine@test,folder:mine@train,74,141,2,2,1",
        "folder:mine@train,folder:mine@test,141,74,2,2,1",
        "folder:mine@train,folder:mine@train,141,141,2,0,0",
    ]
    listed = pd.read_csv(found.folder / "duplicates.csv")
    assert listed["kind"].tolist() == ["identical"] * 3 + ["near"] * 2
    assert set(listed["other_id"]) == PLANTED | {"train/surprise/again.png"}
    conflict = listed[listed["conflicting"]].iloc[0]
    assert (conflict["label"], conflict["other_label"]) == ("fear", "sadness")
    assert conflict["other_id"] == "test/sadness/mislabelled.png"
    assert (
        listed["cosine"][listed["kind"] == "near"] > found.calibrations["folder:mine", "folder:mine"].threshold
    ).all()
    assert found.verdicts == {}


def test_a_doubtful_label_is_listed_with_its_copy(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    found = audited(settings, "folder:mine")
    suspects = pd.read_csv(found.folder / "suspects-folder-mine.csv")
    assert found.suspects == {"folder:mine": len(suspects)}
    first = suspects.iloc[0]
    assert (first["id"], first["label"], first["suggested"]) == ("test/sadness/mislabelled.png", "sadness", "fear")
    assert first["twin_of_another_label"].startswith("folder:mine train/fear/")
    assert first["twin_of_another_label"].endswith(" fear")


def test_the_sheet_shows_the_near_pairs(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    found = audited(settings, "folder:mine")
    assert found.sheet == found.folder / "closest.png"
    sheet = np.asarray(Image.open(found.sheet).convert("RGB"))
    image = Image.open(planted_folder / "test/happiness/resized.png").resize((96, 96))
    patches = np.lib.stride_tricks.sliding_window_view(sheet, (96, 96, 3))[:, :, 0]
    assert any(np.array_equal(patch, np.asarray(image)) for row in patches for patch in row)


def test_without_images_there_is_no_sheet(settings: Settings, planted_folder: Path, tmp_path: Path) -> None:
    """Tables are enough for everything else; and a sheet of an earlier audit does not stay."""
    moved = tmp_path / "moved"
    extracted(settings, "folder:mine", planted_folder)
    sheet = audited(settings, "folder:mine").sheet
    for root in (moved, tmp_path):  # not there, and not this set
        elsewhere = settings.model_copy(update={"datasets": {"folder:mine": root}})
        found = audited(elsewhere, "folder:mine")
        assert len(found.leaks) == 3
        assert found.sheet is None
        assert sheet is not None
        assert not sheet.exists()


def test_splits_are_audited_like_datasets(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    found = audited(settings, "folder:mine@train", "folder:mine@test")
    assert [(leak.place, leak.other, leak.identical, leak.near, leak.conflicting) for leak in found.leaks] == [
        ("folder:mine@test", "folder:mine@train", 2, 2, 1),
        ("folder:mine@train", "folder:mine@test", 2, 2, 1),
        ("folder:mine@train", "folder:mine@train", 2, 0, 0),
    ]
    for split, count in zip(("train", "test"), found.suspects.values(), strict=True):
        suspects = pd.read_csv(found.folder / f"suspects-folder-mine@{split}.csv")
        assert len(suspects) == count
        assert set(suspects["split"]) <= {split}
    alone = audited(settings, "folder:mine@test")
    assert alone.leaks == []


def test_datasets_with_swapped_labels_and_a_common_image(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    other = draw_folder(tmp_path / "other", 5000, {"test": 8}, SWAPPED)
    Image.open(planted_folder / "test/anger/same.png").save(other / "test/anger/common.bmp")
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", other)
    found = audited(settings, "folder:mine", "folder:other")
    verdict = found.verdicts["folder:mine", "folder:other"]
    assert verdict is not None
    assert verdict.swaps == (("anger", "disgust"),)
    between = [leak for leak in found.leaks if leak.place == "folder:other@test"]
    assert [(leak.other, leak.images, leak.identical, leak.near) for leak in between] == [
        ("folder:mine@test", 57, 1, 0),
        ("folder:mine@train", 57, 1, 0),
    ]
    assert set(found.calibrations) == {
        ("folder:mine", "folder:mine"),
        ("folder:mine", "folder:other"),
        ("folder:other", "folder:other"),
    }


def test_an_image_without_a_label_contradicts_none(settings: Settings, planted_folder: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(("train/anger", "test/anger", "test/fear")):
        shutil.copy(first_of(planted_folder, folder), tmp_path / f"{number}.png")
    shutil.copy(tmp_path / "0.png", tmp_path / "3.png")
    (tmp_path / "faces.csv").write_text("path,label\n0.png,anger\n1.png,anger\n2.png,fear\n3.png,\n")
    extracted(settings, "manifest:mine", tmp_path / "faces.csv")
    (leak,) = audited(settings, "manifest:mine").leaks
    assert (leak.place, leak.other, leak.identical, leak.conflicting) == ("manifest:mine", "manifest:mine", 2, 0)


def test_votes_show_how_well_raters_agree(settings: Settings, tmp_path: Path) -> None:
    ferplus(tmp_path / "ferplus")
    extracted(settings, "ferplus", tmp_path / "ferplus")
    found = audited(settings, "ferplus")
    assert set(found.ceilings) == {"ferplus, fer2013new", "ferplus, folders"}
    assert found.suspects == {"ferplus": 0}, "too few faces of every expression"
    header = (found.folder / "suspects-ferplus.csv").read_text(encoding="utf-8").strip()
    assert header.startswith("id,split,label,suggested,")
    assert header.endswith("folders:unknown,folders:NF")
    assert {name: twice.pairs for name, twice in found.rerated.items()} == {"ferplus, fer2013new": 1}
    (leak,) = found.leaks  # one image has two lines
    assert (leak.place, leak.other, leak.identical) == ("ferplus@train", "ferplus@train", 2)


def test_faces_without_copies(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "faces", per_class={"train": 6}))
    found = audited(settings, "folder:mine")
    assert found.leaks == []
    assert found.sheet is None
    assert len(pd.read_csv(found.folder / "duplicates.csv")) == 0
    assert len(pd.read_csv(found.folder / "leaks.csv")) == 0


@pytest.mark.parametrize(
    "sets", [("folder:mine", "folder:mine"), ("folder:mine@train",) * 2, ("folder:mine@test", "folder:mine")]
)
def test_faces_that_are_named_twice_are_refused(settings: Settings, sets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"folder:mine.* and folder:mine.* overlap"):
        audited(settings, *sets)


def test_wrong_names_are_refused_with_a_remedy(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "other"):
        draw_folder(tmp_path / name, per_class={"test": 1})
    extracted(settings, "folder:mine", tmp_path / "mine")
    with pytest.raises(UsageError, match="Run: fercache extract --dataset ferplus"):
        audited(settings, "folder:mine", "ferplus")
    with pytest.raises(UsageError, match="no faces; the splits of this dataset are test"):
        audited(settings, "folder:mine@train")
    monkeypatch.setattr(PixelEncoder, "identity", lambda self: {"architecture": "another"})
    extracted(settings, "folder:other", tmp_path / "other")
    with pytest.raises(UsageError, match=r"different encoders.*--encoder"):
        audited(settings, "folder:mine", "folder:other")
