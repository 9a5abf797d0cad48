"""Extraction of augmented views and crops: only what is new is encoded, and both are of the same images."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fercache import Settings, extract
from fercache.datasets import FaceImage
from fercache.errors import FercacheError, UsageError
from fercache.extraction import crops
from fercache.extraction.crops import cut_faces
from fercache.identity import pixel_hash
from fercache.images.corruptions import corruptions
from fercache.images.views import RECIPES, draw_view, load_recipe
from fercache.stages import _precision
from fercache.stages.extract import _Extraction
from fercache.store.crops import CropFile, crop_files, find_crops, read_crops
from fercache.store.tables import FeatureTable, read_info, read_table
from tests.images.test_decode import image
from tests.pixel_encoder import PixelEncoder
from tests.stages.test_extract import request, save

N = 10
Encoder = type[PixelEncoder]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """N images and one that cannot be read."""
    save(tmp_path / "faces" / "happy", N)
    (tmp_path / "faces" / "happy" / "0035.png").write_bytes(b"no image")
    return tmp_path / "faces"


def table_of(settings: Settings, root: Path, name: str = "mine", **options: object) -> FeatureTable:
    return read_table(extract(settings, request(root, name, **options)))  # type: ignore[arg-type]


def crops_of(settings: Settings, table: FeatureTable) -> CropFile:
    return read_crops(find_crops(settings.cache, read_info(table.path))[0].path)


def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return PixelEncoder().encode_images(pixels[None])[0]


def recipe_file(folder: Path, seed: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "mine.toml"
    path.write_text(f"seed = {seed}\n[[steps]]\nkind = 'shift'\nmost = 0.5\n")
    return path


def test_only_new_views_are_encoded(
    settings: Settings, root: Path, pixel_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Extraction, "_print_cost_of_views", lambda *measured: None)  # it encodes some for itself
    clean = table_of(settings, root)
    assert pixel_encoder.encoded == N
    two = table_of(settings, root, views=2)
    assert pixel_encoder.encoded == N + 2 * N
    assert (two.provenance["encoded"], two.provenance["copied"]) == (2 * N, N)
    three = table_of(settings, root, views=3)
    assert pixel_encoder.encoded == N + 3 * N
    assert (three.provenance["encoded"], three.provenance["copied"]) == (N, 3 * N)
    table_of(settings, root, views=1)
    assert pixel_encoder.encoded == N + 3 * N
    assert list(three.columns.features) == ["clean", "cafe-1", "cafe-2", "cafe-3"]
    for view, column in two.columns.features.items():
        np.testing.assert_array_equal(three.columns.features[view], column)
    assert clean.clean_key == two.clean_key == three.clean_key == clean.key
    assert len({clean.key, two.key, three.key}) == 3
    shutil.copytree(root, root.parent / "copy")
    table_of(settings, root.parent / "copy", "other", views=3)
    assert pixel_encoder.encoded == N + 3 * N


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 3, "shard_rows": 4}, {"batch_size": 7, "shard_rows": 5}], ids=str
)
@pytest.mark.parametrize("recipe", ["cafe", "ke2nt"])
def test_features_are_those_of_the_rendered_image(
    settings: Settings, root: Path, pixel_encoder: Encoder, recipe: str, options: dict[str, int]
) -> None:
    table = table_of(settings, root, views=4, recipe=recipe, **options)
    assert (table.quarantined, table.path.with_suffix(".quarantine.csv").exists()) == (1, True)
    changed = 0
    for number, column in enumerate(table.columns.features.values()):
        for row, hash in enumerate(table.columns.pixel_sha256):
            pixels = image(row)
            assert pixel_hash(pixels) == hash.tobytes()
            view = draw_view(RECIPES[recipe], number, hash.tobytes())
            square = view.on_square(PixelEncoder().preprocess(view.on_image(pixels)))
            np.testing.assert_array_equal(column[row], features(square))
            changed += not np.array_equal(column[row], table.columns.features["clean"][row])
    assert changed > 2 * N


def test_another_recipe_of_the_same_name_is_another(settings: Settings, root: Path, pixel_encoder: Encoder) -> None:
    files = [recipe_file(root.parent / f"recipes-{seed}", seed) for seed in (1, 2)]
    one, other = (table_of(settings, root, views=1, recipe=str(file)) for file in files)
    assert list(one.columns.features) == list(other.columns.features) == ["clean", "mine-1"]
    assert (other.provenance["encoded"], other.provenance["copied"]) == (N, N)
    assert not np.array_equal(one.columns.features["mine-1"], other.columns.features["mine-1"])
    again = table_of(settings, root, views=2, recipe=str(files[0]))
    assert (again.provenance["encoded"], again.provenance["copied"]) == (N, 2 * N)
    np.testing.assert_array_equal(again.columns.features["mine-1"], one.columns.features["mine-1"])
    assert again.identity["recipe"] == load_recipe(str(files[0])).identity()


def test_what_views_cost_is_reported_before_they_are_encoded(
    settings: Settings, root: Path, pixel_encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    table_of(settings, root)
    assert "views:" not in capsys.readouterr().err
    table_of(settings, root, views=3)
    assert f"views: cafe x 3: at most {3 * (N + 1)} encodings, 0 s and 0 MiB" in capsys.readouterr().err
    before = pixel_encoder.encoded
    table_of(settings, root, views=3)
    assert "views:" not in capsys.readouterr().err
    assert pixel_encoder.encoded == before


def test_views_that_would_all_be_clean_are_refused(settings: Settings, root: Path, pixel_encoder: Encoder) -> None:
    empty = root.parent / "empty.toml"
    empty.write_text("")
    for recipe in ("clean", str(empty)):
        with pytest.raises(UsageError, match="changes nothing"):
            table_of(settings, root, views=1, recipe=recipe)
    assert pixel_encoder.encoded == 0


def test_more_views_keep_the_precision_that_was_settled(
    settings: Settings, root: Path, pixel_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settled again, the precision might change, and everything would be encoded again."""

    def settle(self: PixelEncoder, faces: list[NDArray[np.uint8]]) -> dict[str, object]:
        self.precision = precision
        return {"precision": precision}

    monkeypatch.setattr(pixel_encoder, "settle", settle)
    monkeypatch.setattr(_precision, "reduced_precisions", lambda device: ("fp16", "bf16"))
    precision = "fp16"
    first = table_of(settings, root, views=1)
    precision = "bf16"
    for count in (2, 0):
        more = table_of(settings, root, views=count)
        assert more.identity["encoder"] == first.identity["encoder"]
    assert more.provenance["encoded"] == 0


def test_crops_are_cut_as_the_encoder_cuts_and_cost_no_encoding(
    settings: Settings, root: Path, pixel_encoder: Encoder
) -> None:
    table = table_of(settings, root, views=2)
    before, written = pixel_encoder.encoded, table.path.read_bytes()
    again = table_of(settings, root, views=2, crops=24)
    assert pixel_encoder.encoded == before
    assert again.path.read_bytes() == written
    crops = crops_of(settings, again)
    assert (crops.info.side, crops.info.geometry) == (24, pixel_encoder().geometry())
    assert list(crops.id) == list(again.columns.id)
    np.testing.assert_array_equal(crops.pixel_sha256, again.columns.pixel_sha256)
    for row in range(N):
        pixels = image(row)
        np.testing.assert_array_equal(crops.pixels[row], pixel_encoder().preprocess(pixels, 24))
        assert tuple(crops.native[row]) == pixels.shape[:2]


def test_crops_that_are_there_are_kept_and_come_first(
    settings: Settings, root: Path, pixel_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = crops_of(settings, table_of(settings, root, crops=16)).info.path
    large = crops_of(settings, table_of(settings, root, crops=24)).info.path
    assert small != large
    content = small.read_bytes()
    monkeypatch.setattr(crops, "cut_faces", lambda *asked, **more: pytest.fail("the images are read again"))
    for views in (0, 0, 2):  # tables with other views are of the same faces
        assert crops_of(settings, table_of(settings, root, views=views, crops=16)).info.path == small
        assert crops_of(settings, table_of(settings, root, views=views, crops=24)).info.path == large
    assert small.read_bytes() == content
    assert len(crop_files(settings.cache)) == 2


def test_damaged_crops_are_written_again(
    settings: Settings, root: Path, pixel_encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(settings, root, crops=16)
    path = crops_of(settings, table).info.path
    content = path.read_bytes()
    path.write_bytes(content[:100])
    with caplog.at_level(logging.WARNING):
        assert find_crops(settings.cache, read_info(table.path)) == []
    assert str(path) in caplog.text
    table_of(settings, root, crops=16)
    assert path.read_bytes() == content


def test_a_new_image_makes_new_crops(settings: Settings, root: Path, pixel_encoder: Encoder) -> None:
    table_of(settings, root, crops=16)
    save(root / "happy", 1, first=77)
    table = table_of(settings, root, crops=16)
    assert len(crops_of(settings, table).id) == N + 1
    assert len(crop_files(settings.cache)) == 2


def test_crops_of_a_corrupted_dataset_are_corrupted(settings: Settings, root: Path, pixel_encoder: Encoder) -> None:
    table_of(settings, root, crops=16)
    (corruption,) = corruptions("noise:5")
    corrupted = table_of(settings, root, "mine+noise:5", crops=16)
    crops = crops_of(settings, corrupted)
    assert len(find_crops(settings.cache, read_info(corrupted.path))) == 1
    for row in range(N):
        pixels = corruption(image(row))
        np.testing.assert_array_equal(crops.pixels[row], pixel_encoder().preprocess(pixels, 16))
        assert crops.pixel_sha256[row].tobytes() == pixel_hash(pixels)
        np.testing.assert_array_equal(
            corrupted.columns.features["clean"][row], features(pixel_encoder().preprocess(pixels))
        )


def test_views_of_a_corrupted_dataset_are_views_of_the_corrupted_image(
    settings: Settings, root: Path, pixel_encoder: Encoder
) -> None:
    (corruption,) = corruptions("noise:5")
    table = table_of(settings, root, "mine+noise:5", views=1)
    for row in range(N):
        pixels = corruption(image(row))
        view = draw_view(RECIPES["cafe"], 1, pixel_hash(pixels))
        square = view.on_square(pixel_encoder().preprocess(view.on_image(pixels)))
        np.testing.assert_array_equal(table.columns.features["cafe-1"][row], features(square))


@pytest.mark.parametrize(
    "harm", [lambda path: Image.fromarray(image(99)).save(path), Path.unlink], ids=["other", "gone"]
)
def test_an_image_that_changes_meanwhile_is_reported(tmp_path: Path, root: Path, harm: object) -> None:
    paths = sorted((root / "happy").glob("00?.png"))
    faces = [FaceImage(id=path.name, read=path.read_bytes) for path in paths]
    hashes = np.stack([np.frombuffer(pixel_hash(image(row)), np.uint8) for row in range(N)])
    assert sum(len(cut.pixels) for cut in cut_faces(faces, hashes, PixelEncoder(), 16)) == N
    harm(paths[3])  # type: ignore[operator]
    with pytest.raises(FercacheError, match=r"003\.png changed while its crops were stored"):
        list(cut_faces(faces, hashes, PixelEncoder(), 16))
