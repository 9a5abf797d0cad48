"""Extraction as a stage: what is kept, what is quarantined, what is not encoded twice."""

import csv
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.datasets import FaceImage
from fercache.datasets.rafdb import plugin as rafdb
from fercache.errors import FercacheError, UsageError
from fercache.extraction import local
from fercache.extraction.listing import Listing, list_faces
from fercache.identity import content_hash
from fercache.stages import _precision
from fercache.store.tables import read_info, read_table
from tests.datasets.miniatures.rafdb import official
from tests.images.test_decode import DAMAGED, EXACT, image
from tests.pixel_encoder import PixelEncoder

PIXELS = EncoderRequest(name="pixels")
stage = import_module("fercache.stages.extract")


def request(root: Path, name: str = "mine", **options: int) -> ExtractRequest:
    return ExtractRequest(dataset=f"folder:{name}", root=root, encoder=PIXELS, **options)  # type: ignore[arg-type]


def save(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(image(number)).save(folder / f"{number:03}.png")


def test_damaged_images_are_quarantined_and_odd_ones_kept(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder]
) -> None:
    """Fifty damaged among five hundred: exactly these in the list, each with a reason, every other row right."""
    root = tmp_path / "faces" / "happy"
    root.mkdir(parents=True)
    expected = {}
    for number in range(500):
        pixels = image(number)
        if number % 10 == 3:
            data = DAMAGED[number // 10 % len(DAMAGED)][0](pixels)
        else:
            data, expected[f"happy/{number:03}.png"] = EXACT[number % len(EXACT)](pixels)
        (root / f"{number:03}.png").write_bytes(data)
    path = extract(settings, request(tmp_path / "faces", shard_rows=64, batch_size=16))
    table = read_table(path)
    assert list(table.columns.id) == list(expected)
    encoder = PixelEncoder()
    for row, pixels in zip(table.columns.features["clean"], expected.values(), strict=True):
        np.testing.assert_array_equal(row, encoder.encode_images(encoder.preprocess(pixels)[None])[0])
    with path.with_suffix(".quarantine.csv").open(newline="", encoding="utf-8") as stream:
        quarantined = list(csv.DictReader(stream))
    assert [row["id"] for row in quarantined] == [f"happy/{n:03}.png" for n in range(3, 500, 10)]
    assert all(row["reason"] for row in quarantined)


def test_only_the_difference_is_encoded(settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 10)
    first = read_table(extract(settings, request(root)))
    assert pixel_encoder.encoded == 10
    extract(settings, request(root))
    assert pixel_encoder.encoded == 10
    save(root / "sad", 3, first=50)
    second = read_table(extract(settings, request(root)))
    assert pixel_encoder.encoded == 13
    np.testing.assert_array_equal(second.columns.features["clean"][:10], first.columns.features["clean"])
    shutil.copytree(root, tmp_path / "copy")
    extract(settings, request(tmp_path / "copy", "other"))
    assert pixel_encoder.encoded == 13


def test_a_changed_image_changes_the_table(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder]
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 4)
    before = extract(settings, request(root))
    Image.fromarray(image(99)).save(root / "happy" / "000.png")
    assert extract(settings, request(root)) != before
    assert pixel_encoder.encoded == 5


def test_an_interrupted_extraction_goes_on(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 20)
    encode = pixel_encoder.encode_images

    def interrupted(self: PixelEncoder, faces: np.ndarray) -> np.ndarray:
        if pixel_encoder.encoded >= 12:
            raise KeyboardInterrupt
        return encode(self, faces)

    with monkeypatch.context() as patch:
        patch.setattr(pixel_encoder, "encode_images", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract(settings, request(root, shard_rows=4, batch_size=4))
    assert not list((tmp_path / "cache").rglob("folder-mine-*.h5"))
    extract(settings, request(root, shard_rows=7, batch_size=3))  # what the first shard settled stays
    assert pixel_encoder.encoded == 20


def test_features_that_are_no_numbers_are_refused(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "faces" / "happy", 3)
    monkeypatch.setattr(
        pixel_encoder, "encode_images", lambda self, faces: np.full((len(faces), self.dimension), np.nan, np.float32)
    )
    with pytest.raises(FercacheError, match="not finite"):
        extract(settings, request(tmp_path / "faces"))


def test_images_that_look_like_no_face_are_warned_about_once(
    settings: Settings,
    tmp_path: Path,
    pixel_encoder: type[PixelEncoder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(local, "_warned", set())
    folder = tmp_path / "faces" / "happy"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (400, 40)).save(folder / f"{name}.png")
    extract(settings, request(tmp_path / "faces"))
    assert capsys.readouterr().err.count("very wide") == 1


def after_listing(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Does something when the images have been listed, and are not encoded yet."""

    def listed(*args: Any) -> Listing:
        listing = list_faces(*args)
        do()
        return listing

    monkeypatch.setattr(stage, "list_faces", listed)


def test_an_image_that_is_replaced_meanwhile_is_never_taken_for_the_old_one(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 40)
    changing = root / "happy" / "035.png"
    old = changing.read_bytes()
    with monkeypatch.context() as patch:
        after_listing(patch, lambda: Image.fromarray(image(99)).save(changing))
        with pytest.raises(FercacheError, match=r"happy/035\.png changed during extraction"):
            extract(settings, request(root, shard_rows=10))
    changing.write_bytes(old)
    columns = read_table(extract(settings, request(root))).columns
    assert columns.file_sha256[35].tobytes() == content_hash(old)


def test_an_image_that_cannot_be_read_for_a_moment_is_not_lost(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 40)
    gone, away = root / "happy" / "035.png", tmp_path / "away.png"
    with monkeypatch.context() as patch:
        after_listing(patch, lambda: gone.rename(away))
        with pytest.raises(FercacheError, match=r"happy/035\.png"):
            extract(settings, request(root, shard_rows=10))
    away.rename(gone)
    table = read_table(extract(settings, request(root)))
    assert len(table.columns) == 40 and table.quarantined == 0


def test_a_read_that_fails_once_is_not_a_damaged_image(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 40)
    with monkeypatch.context() as patch:
        render = FaceImage.pixels

        def failing(face: FaceImage, data: bytes) -> Any:
            if face.id.endswith("037.png"):
                raise OSError(5, "Input/output error")
            return render(face, data)

        patch.setattr(FaceImage, "pixels", failing)
        with pytest.raises(FercacheError, match="could be read when it was listed, but not later"):
            extract(settings, request(root, shard_rows=10))
    assert len(read_table(extract(settings, request(root))).columns) == 40


def test_a_table_in_a_precision_that_this_device_lacks_is_not_gone_on_with(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    save(root / "happy", 4)
    with monkeypatch.context() as patch:
        patch.setattr(PixelEncoder, "precision", "fp16")
        extract(settings, request(root))
    monkeypatch.setattr(_precision, "reduced_precisions", lambda device: ("bf16",))
    assert read_info(extract(settings, request(root))).identity["encoder"]["precision"] == "fp16"
    with pytest.raises(UsageError, match="has a table in fp16, which cpu does not support"):
        extract(settings, request(root, views=1))


def test_counts_are_compared_by_expression_where_all_of_a_split_are_there(
    settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Labels in another column give the right total, but of other expressions."""
    root = official(tmp_path).root
    monkeypatch.setattr(
        rafdb, "expected", lambda root, domain="": {"train": {"surprise": 7}, "test": {"anger": 1, "disgust": 1}}
    )
    extract(settings, ExtractRequest(dataset="rafdb", root=root, encoder=PIXELS))
    assert "warning: rafdb has 1 of 7 train surprise; see `fercache datasets show rafdb`." in capsys.readouterr().err
