"""What `cache verify` finds damaged is repaired, or the message has the remedy."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.stages.repair import Repair, repair
from fercache.store.copies import copies_path, read_copies
from fercache.store.crops import check_crops
from fercache.store.tables import quarantine_path, read_info, read_table
from fercache.store.verify import verify
from tests.faults.kills import same
from tests.pixel_encoder import PixelEncoder
from tests.stages.test_extract import save

FACES = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path / "faces" / "happy", FACES)
    return tmp_path / "faces"


@pytest.fixture
def table(settings: Settings, root: Path, pixel_encoder: type[PixelEncoder]) -> Path:
    return extract(
        settings,
        ExtractRequest(dataset="folder:mine", root=root, encoder=EncoderRequest(name="pixels"), views=1, crops=32),
    )


def flip(path: Path, share: float) -> None:
    """One bit, at that share of the file."""
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1
    path.write_bytes(data)


def repaired(settings: Settings) -> list[Repair]:
    return list(repair(settings))


def test_a_whole_cache_is_left_alone(settings: Settings, table: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in settings.cache.rglob("*")}
    assert repaired(settings) == []
    assert before == {path: path.stat().st_mtime_ns for path in settings.cache.rglob("*")}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_damaged_table_is_recreated(
    settings: Settings, table: Path, share: float, pixel_encoder: type[PixelEncoder]
) -> None:
    whole, encoded = read_table(table), pixel_encoder.encoded
    flip(table, share)
    (found,) = repaired(settings)
    assert found == Repair(table, True, f"repaired; the damaged file is now {table.name}.damaged")
    assert same(read_table(table), whole) and pixel_encoder.encoded > encoded
    assert [problem.path.name for problem in verify(settings.cache)] == [f"{table.name}.damaged"]


def test_damaged_copies_and_crops_are_recreated_and_nothing_is_encoded_twice(
    settings: Settings, table: Path, pixel_encoder: type[PixelEncoder]
) -> None:
    whole, (crops,) = read_copies(copies_path(table)), (settings.cache / "crops").glob("*.h5")
    encoded = pixel_encoder.encoded
    flip(copies_path(table), 0.7)
    flip(crops, 0.7)
    assert {(found.path, found.done) for found in repaired(settings)} == {(copies_path(table), True), (crops, True)}
    np.testing.assert_array_equal(read_copies(copies_path(table)).original, whole.original)
    check_crops(crops)
    of_copies = len(whole.original) * (1 + len(whole.changed))
    assert pixel_encoder.encoded == encoded + of_copies


def test_crops_are_recreated_by_the_encoder_that_cut_them(
    settings: Settings, root: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shorter(PixelEncoder):
        name = "shorter"

        def geometry(self) -> dict[str, Any]:
            return {"resize_mode": "shortest"}

    families = {"pixels": PixelEncoder, "shorter": Shorter}
    monkeypatch.setattr(registry, "encoder_family", families.__getitem__)
    for name in families:
        extract(settings, ExtractRequest(dataset="folder:mine", root=root, encoder=EncoderRequest(name=name), crops=32))
    both = sorted((settings.cache / "crops").glob("*.h5"))
    for crops in both:
        flip(crops, 0.7)
    assert [(found.path, found.done) for found in sorted(repaired(settings), key=lambda found: found.path)] == [
        (crops, True) for crops in both
    ]
    for crops in both:
        check_crops(crops)


def test_without_the_images_the_damaged_table_stays_with_a_message(settings: Settings, table: Path, root: Path) -> None:
    shutil.rmtree(root)
    flip(table, 0.5)
    damaged = table.read_bytes()
    (found,) = repaired(settings)
    assert not found.done and "cannot be repaired" in found.message and "does not exist" in found.message
    assert table.read_bytes() == damaged and read_info(table).rows == FACES


def test_where_the_images_have_changed_the_damaged_table_stays_too(settings: Settings, table: Path, root: Path) -> None:
    save(root / "happy", 1, first=FACES)
    flip(table, 0.6)
    (found,) = repaired(settings)
    assert found == Repair(table, False, "cannot be repaired: the images or the encoder have changed since")
    assert read_info(table).rows == FACES


def test_a_lost_list_of_what_was_left_out_is_reported(
    settings: Settings, root: Path, pixel_encoder: type[PixelEncoder]
) -> None:
    (root / "happy" / "000.png").write_bytes(b"no image")
    table = extract(settings, ExtractRequest(dataset="folder:mine", root=root, encoder=EncoderRequest(name="pixels")))
    quarantine_path(table).unlink()
    (found,) = repaired(settings)
    assert found.path == quarantine_path(table) and not found.done and f"Delete {table.name}" in found.message


def test_an_unknown_file_is_left_to_its_owner(settings: Settings, table: Path) -> None:
    table.write_bytes(table.read_bytes()[:100])
    found = next(found for found in repaired(settings) if found.path == table)
    assert not found.done and "run the same `fercache extract` again" in found.message


def test_leftovers_and_prompts_are_reported(settings: Settings, table: Path) -> None:
    prompts = next((settings.cache / "prompts").rglob("*.h5"))
    flip(prompts, 0.5)
    (found,) = repaired(settings)
    assert found.path == prompts and not found.done and "extract" in found.message
