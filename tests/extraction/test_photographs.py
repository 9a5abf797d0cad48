"""Photographs through `extract --faces`: every one is searched once, and none is lost unnoticed."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fercache import EncoderRequest, ExtractRequest, Settings, extract, use_plugins
from fercache.datasets import DatasetName
from fercache.detectors import load_detector
from fercache.errors import FercacheError, UsageError
from fercache.experiments.inventory import take_inventory
from fercache.experiments.steps import Extract
from fercache.extraction import photographs
from fercache.loading.originals import faces_with
from fercache.settings import FacesOf
from fercache.stages.repair import repair
from fercache.store.crops import crop_files, read_crops
from fercache.store.tables import FeatureTable, find_tables, quarantine_path, read_table
from tests.extraction.squares import FILE, colour, photograph, save_photographs
from tests.faults.kills import same
from tests.pixel_encoder import PixelEncoder
from tests.store.test_verify import flip

PIXELS = EncoderRequest(name="pixels")
COUNT = 12


@pytest.fixture(autouse=True)
def squares(no_plugins: None, pixel_encoder: type[PixelEncoder]) -> Iterator[Any]:
    """The class of the detector `squares`, from its plugin file."""
    use_plugins([FILE])
    found = type(load_detector("squares"))
    found.searched = 0  # type: ignore[attr-defined]
    yield found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place, expression in enumerate(("happy", "sad")):
        list(save_photographs(tmp_path / "photos" / expression, COUNT // 2, first=place * COUNT // 2))
    return tmp_path / "photos"


def asked(root: Path, **more: Any) -> ExtractRequest:
    given: dict[str, Any] = {"faces": "squares", "dataset": "folder:party", "encoder": PIXELS, "shifted": False}
    return ExtractRequest(root=root, **given | more)


def extracted(settings: Settings, root: Path, **more: Any) -> FeatureTable:
    return read_table(extract(settings, asked(root, **more)))


def left_out(table: FeatureTable) -> dict[str, str]:
    path = quarantine_path(table.path)
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row["reason"] for row in csv.DictReader(stream)}


def feature(number: int) -> np.ndarray:
    """What a square of the colour is encoded to."""
    encoder, pixels = PixelEncoder(), np.broadcast_to(colour(number), (20, 20, 3)).copy()
    return encoder.encode_images(encoder.preprocess(pixels)[None])[0]


def test_one_row_per_photograph_with_a_face_and_a_reason_for_the_others(settings: Settings, root: Path) -> None:
    table = extracted(settings, root)
    ids = [f"{folder}/{n:03}.png#0" for folder, begin in (("happy", 0), ("sad", 6)) for n in range(begin, begin + 6)]
    assert list(table.columns.id) == [id for number, id in enumerate(ids) if number % 3 != 2]
    assert {table.classes[label] for label in table.columns.label} == {"happiness", "sadness"}
    assert left_out(table) == {id.removesuffix("#0"): "no face found" for id in ids[2::3]}
    assert table.identity["faces"]["detector"] == {"name": "squares", "version": 1}
    assert table.provenance["faces"] == "squares" and table.provenance["which"] == "largest"


def test_policies(settings: Settings, root: Path) -> None:
    everyone, single = extracted(settings, root, which="all"), extracted(settings, root, which="single")
    assert len(everyone.columns) == COUNT and len(single.columns) == COUNT // 3
    assert list(everyone.columns.id)[:3] == ["happy/000.png#0", "happy/001.png#0", "happy/001.png#1"]
    assert list(left_out(single).values()).count("2 faces instead of a single one") == COUNT // 3
    # The second layout's larger square is its second one.
    np.testing.assert_allclose(everyone.columns.features["clean"][1], feature(1 + 50), atol=0.5)
    np.testing.assert_allclose(everyone.columns.features["clean"][2], feature(1), atol=0.5)


def test_no_photograph_is_searched_twice(settings: Settings, root: Path, squares: Any) -> None:
    extracted(settings, root)
    assert squares.searched == COUNT
    extracted(settings, root, which="all")
    assert squares.searched == COUNT
    shutil.copytree(root, root.parent / "copy")
    (added,) = save_photographs(root.parent / "copy" / "sad", 1, first=50)
    extracted(settings, root.parent / "copy", dataset="folder:other")
    assert squares.searched == COUNT + 1 and added.exists()


def test_what_was_searched_before_an_interrupt_is_kept(
    settings: Settings, root: Path, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = squares.find

    def interrupted(self: Any, image: np.ndarray) -> Any:
        if image[0, 0, 0] == 7:  # the number of the photograph
            raise KeyboardInterrupt
        return find(self, image)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(squares, "find", interrupted)
        extracted(settings, root)
    squares.searched = 0
    extracted(settings, root)
    assert squares.searched == COUNT - 7


def test_damaged_and_absent_photographs_are_listed_with_the_others(settings: Settings, root: Path) -> None:
    (root / "happy" / "000.png").write_bytes(b"no image")
    (root / "happy" / "001.png").unlink()
    (root / "happy" / "001.png").symlink_to(root / "happy" / "nowhere.png")
    table = extracted(settings, root)
    reasons = left_out(table)
    assert reasons["happy/000.png"] == "text, not an image"
    assert "no such file" in reasons["happy/001.png"]
    assert len(reasons) == 2 + COUNT // 3


def test_a_photograph_that_changes_meanwhile_is_an_error(
    settings: Settings, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = photographs._report

    def changing(*given: Any) -> None:
        report(*given)
        Image.fromarray(photograph(((5, 5, 50),), 77)).save(root / "happy" / "000.png")

    with monkeypatch.context() as patch, pytest.raises(FercacheError, match=r"happy/000\.png changed.*same command"):
        patch.setattr(photographs, "_report", changing)
        extracted(settings, root)
    table = extracted(settings, root)
    np.testing.assert_allclose(table.columns.features["clean"][0], feature(77), atol=0.5)


def test_boxes_of_a_list_win_over_a_detector(settings: Settings, root: Path, tmp_path: Path, squares: Any) -> None:
    boxes = tmp_path / "boxes.csv"
    rows = ["happy/000.png,12,12,32,32", "happy/001.png,62,22,72,32", "happy/001.png,10,10,30,30"]
    boxes.write_text("\n".join(["image,left,top,right,bottom", *rows]), encoding="utf-8")
    table = extracted(settings, root, faces=str(boxes), which="all")
    assert list(table.columns.id) == ["happy/000.png#0", "happy/001.png#0", "happy/001.png#1"]
    assert set(left_out(table).values()) == {"no face found"} and squares.searched == 0
    np.testing.assert_allclose(table.columns.features["clean"][2], feature(51), atol=0.5)
    listed = tmp_path / "photos.csv"
    listed.write_text("path,label,box\nphotos/happy/000.png,happy,12 12 32 32\nphotos/happy/001.png,sad,\n")
    mixed = extracted(settings, listed, dataset="manifest:mixed")
    assert list(mixed.columns.id) == ["photos/happy/000.png#12,12,32,32", "photos/happy/001.png#0"]
    assert squares.searched == 1


def test_a_list_for_other_images_is_refused(
    settings: Settings, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,left,top,right,bottom\n000.png,1,1,9,9\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"1 images that folder:party lacks, such as 000\.png.*like happy/000\.png"):
        extracted(settings, root, faces=str(boxes))
    boxes.write_text("image,left,top,right,bottom\n000.png,1,1,9,9\nhappy/000.png,12,12,32,32\n", encoding="utf-8")
    assert len(extracted(settings, root, faces=str(boxes)).columns) == 1
    assert "boxes.csv lists 1 images" in capsys.readouterr().err


def test_no_face_at_all_is_an_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "photos" / "happy").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(photograph((), number)).save(tmp_path / "photos" / "happy" / f"{number}.png")
    with pytest.raises(UsageError, match=r"no face in any of its 3 photographs, by squares.*--faces none"):
        extracted(settings, tmp_path / "photos")


def test_a_dataset_is_of_photographs_by_the_settings(settings: Settings, root: Path, squares: Any) -> None:
    configured = settings.model_copy(update={"faces": {"folder:party": FacesOf(detector="squares", which="all")}})
    table = extracted(configured, root, faces=None)
    assert len(table.columns) == COUNT and table.provenance["which"] == "all"
    assert extracted(configured, root, faces=None, which="single").path != table.path
    plain = extracted(configured, root, faces="none")
    assert list(plain.columns.id)[:2] == ["happy/000.png", "happy/001.png"] and "faces" not in plain.identity


def test_an_experiment_finds_out_that_faces_were_not_found_as_the_settings_say(settings: Settings, root: Path) -> None:
    configured = settings.model_copy(update={"faces": {"folder:party": FacesOf(detector="squares")}})
    steps = [Extract("extract", asked(root, faces=None))]
    extracted(settings, root, faces="none")
    (found,) = take_inventory(configured, steps)
    assert found.changed == "its faces were found by nothing, not by squares"
    extracted(configured, root, faces=None)
    (found,) = take_inventory(configured, steps)
    assert not found.changed and not found.wrong


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"faces": "ovals"}, "ovals"),
        ({"faces": "yunet"}, "yunet:FILE"),
        ({"faces": "squares:x.onnx"}, "takes no file"),
        ({"faces": "absent.csv"}, "no such list"),
        ({"faces": None, "which": "all"}, "add --faces"),
    ],
)
def test_wrong_use(settings: Settings, root: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        extracted(settings, root, **more)


def test_reports_show_the_crop(settings: Settings, root: Path) -> None:
    extracted(settings, root, which="all")
    name, ids = DatasetName.parse("folder:party"), ["happy/001.png#1", "sad/006.png#0", "happy/000.png#5", "else"]
    shown = {face.id: face for face in faces_with(ids, name, settings=settings, tables=find_tables(settings.cache))}
    assert list(shown) == ids[:2]
    small = shown["happy/001.png#1"]
    assert (small.pixels(small.read())[3:-3, 3:-3] == colour(1)).all()


def test_crops_corrupted_tables_and_repair(settings: Settings, root: Path) -> None:
    table = extracted(settings, root, crops=16)
    (crops,) = crop_files(settings.cache)
    assert (read_crops(crops).pixels[0][4:-4, 4:-4] == colour(0)).all()
    noisy = extracted(settings, root, dataset="folder:party+noise:3")
    assert list(noisy.columns.id) == list(table.columns.id)
    assert not np.array_equal(noisy.columns.features["clean"], table.columns.features["clean"])
    for made in (table, noisy):
        flip(made.path, made.columns.features["clean"][:].tobytes())
    flip(crops, read_crops(crops).pixels[1].tobytes())
    assert {(found.path, found.done) for found in repair(settings)} == {
        (path, True) for path in (table.path, noisy.path, crops)
    }
    assert same(read_table(table.path), table) and same(read_table(noisy.path), noisy)


def test_unlabelled_photographs(settings: Settings, tmp_path: Path) -> None:
    list(save_photographs(tmp_path / "photos", 3))
    table = extracted(settings, tmp_path / "photos", unlabelled=True, which="all")
    assert list(table.columns.id) == ["000.png#0", "001.png#0", "001.png#1"] and set(table.columns.label) == {-1}
    flip(table.path, table.columns.features["clean"][:].tobytes())
    (found,) = repair(settings)
    assert found.done and same(read_table(table.path), table)
