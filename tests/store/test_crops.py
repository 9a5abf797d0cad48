"""Files of crops: bit for bit, on disk until they are asked for, and of exactly the faces of their table."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.store.asked import note_asked
from fercache.store.crops import (
    Cut,
    check_crops,
    crop_files,
    crops_identity,
    crops_path,
    find_crops,
    read_crops,
    rows_of,
    write_crops,
)
from fercache.store.tables import TableInfo, read_info
from fercache.store.verify import verify
from tests.store.damage import damaged, damages
from tests.store.made_tables import place, write_table

ROWS, SIDE = 5, 4
GEOMETRY = {"resize_mode": "squash"}
ENCODER = {"name": "made", "preprocessing": {**GEOMETRY, "mean": 0.5}}
TABLE = {"dataset": "numbers", "manifest": "faces", "encoder": ENCODER, "views": ["clean"]}
_random = np.random.default_rng(0)
IDS = np.array([f"{row}{'é' * row}.png" for row in range(ROWS)], dtype=object)
HASHES = _random.integers(256, size=(ROWS, 32), dtype=np.uint8)
PIXELS = _random.integers(256, size=(ROWS, SIDE, SIDE, 3), dtype=np.uint8)
NATIVE = np.array([(480 + row, 640) for row in range(ROWS)], dtype="<i4")


def parts(rows: int = ROWS) -> Iterator[Cut]:
    """Two rows at a time."""
    for begin in range(0, rows, 2):
        some = slice(begin, min(begin + 2, rows))
        yield Cut(PIXELS[some], NATIVE[some])


def write(path: Path, cuts: Iterator[Cut], table: dict[str, object] = TABLE, side: int = SIDE) -> Path:
    return write_crops(path, crops_identity(table, GEOMETRY, side), id=IDS, pixel_sha256=HASHES, parts=cuts)


def made(cache: Path, **changed: object) -> Path:
    """Crops of the faces of TABLE with some entries changed."""
    table = {**TABLE, **changed}
    return write(crops_path(cache, place(cache), SIDE, key_of(table)), parts(), table)


def info_of(**changed: object) -> TableInfo:
    identity = {**TABLE, **changed}
    return TableInfo(Path("table.h5"), key_of(identity), identity, {}, ROWS, ("clean",))


def same(path: Path) -> None:
    crops = read_crops(path)
    assert list(crops.id) == list(IDS)
    assert (crops.info.side, crops.info.geometry) == (SIDE, GEOMETRY)
    np.testing.assert_array_equal(crops.pixel_sha256, HASHES, strict=True)
    np.testing.assert_array_equal(crops.native, NATIVE, strict=True)
    np.testing.assert_array_equal(np.asarray(crops.pixels), PIXELS, strict=True)


def test_round_trip(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert path.parent == tmp_path / "crops"
    assert path.name.startswith(f"numbers-{SIDE}-")
    same(path)
    check_crops(path)
    assert crop_files(tmp_path) == [path]


def test_equal_crops_are_equal_bytes_however_they_come(tmp_path: Path) -> None:
    one = write(tmp_path / "one.h5", parts())
    other = write(tmp_path / "other.h5", iter([Cut(PIXELS, NATIVE)]))
    assert one.read_bytes() == other.read_bytes()


def test_pixels_stay_on_disk_and_cannot_be_changed(tmp_path: Path) -> None:
    path = made(tmp_path)
    pixels = read_crops(path).pixels
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0
    same(path)


def test_no_faces_are_no_crops(tmp_path: Path) -> None:
    identity = crops_identity(TABLE, GEOMETRY, SIDE)
    path = write_crops(tmp_path / "none.h5", identity, id=IDS[:0], pixel_sha256=HASHES[:0], parts=[])
    assert read_crops(path).pixels.shape == (0, SIDE, SIDE, 3)
    check_crops(path)


def test_only_the_same_faces_are_found_those_written_last_first(tmp_path: Path) -> None:
    made(tmp_path, dataset="letters")
    made(tmp_path, manifest="other faces")
    made(tmp_path, corruption={"name": "blur", "severity": 3}, split="test")
    old, new = (write(tmp_path / "crops" / f"{name}.h5", parts()) for name in ("b", "a"))
    for path, seconds in ((old, 2), (new, 1)):
        note_asked(path)
        os.utime(path, (seconds, seconds))
    assert [info.path for info in find_crops(tmp_path, info_of())] == [new, old]
    note_asked(old)
    assert [info.path for info in find_crops(tmp_path, info_of())] == [old, new]
    # Another encoder's table, or one with views, is of the same faces; but that encoder may cut otherwise.
    assert len(find_crops(tmp_path, info_of(encoder={**ENCODER, "name": "other"}, views=["clean", "cafe-1"]))) == 2
    assert find_crops(tmp_path, info_of(encoder={"name": "other", "preprocessing": {"resize_mode": "shortest"}})) == []
    assert len(find_crops(tmp_path, info_of(dataset="letters"))) == 1
    assert find_crops(tmp_path, info_of(dataset="nothing")) == []
    assert find_crops(tmp_path / "nowhere", info_of()) == []


def test_rows_are_found_by_name(tmp_path: Path) -> None:
    crops = read_crops(made(tmp_path))
    assert rows_of(crops, IDS[[3, 0, 3]]).tolist() == [3, 0, 3]
    with pytest.raises(UsageError, match=r"has no crop of absent\.png. Delete it"):
        rows_of(crops, np.array(["absent.png"], dtype=object))


@pytest.mark.parametrize("rows", [0, 4])
def test_as_many_rows_as_faces(tmp_path: Path, rows: int) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        write(tmp_path / "crops.h5", parts(rows))
    assert not list(tmp_path.iterdir())


def test_more_rows_than_faces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        write(tmp_path / "crops.h5", iter([*parts(), Cut(PIXELS[:2], NATIVE[:2])]))
    assert not list(tmp_path.iterdir())


def test_crops_of_another_side_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        write(tmp_path / "crops.h5", parts(), side=SIDE + 1)
    assert not list(tmp_path.iterdir())


def test_interrupted_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = made(tmp_path)

    def interrupted() -> Iterator[Cut]:
        yield next(parts())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, interrupted())
    same(path)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "crops" / "new.h5", interrupted())
    assert list((tmp_path / "crops").iterdir()) == [path]


def test_damaged_pixels_are_found_by_verify_alone(tmp_path: Path) -> None:
    """Reading does not look at all of them: they may be more than fits in memory."""
    write_table(place(tmp_path))
    path = made(tmp_path)
    assert verify(tmp_path) == []
    data = path.read_bytes()
    row = PIXELS[3].tobytes()
    path.write_bytes(data.replace(row, row[::-1]))
    read_crops(path)
    (problem,) = verify(tmp_path)
    assert problem.path == path
    assert "'crops' has changed" in problem.what
    assert "fercache extract" in problem.remedy


def test_what_an_ended_process_left_is_found_by_verify(tmp_path: Path) -> None:
    made(tmp_path)
    left = tmp_path / "crops" / "numbers.h5.1-a.tmp"
    left.write_bytes(b"")
    (problem,) = verify(tmp_path)
    assert problem.path == left
    assert crop_files(tmp_path) != [left]


@pytest.mark.parametrize("array", [HASHES, NATIVE])
def test_damaged_hashes_and_sizes_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = made(tmp_path)
    path.write_bytes(path.read_bytes().replace(array.tobytes(), array.tobytes()[::-1]))
    with pytest.raises(UsageError, match=r"has changed.*fercache extract --dataset NAME --crops SIDE"):
        read_crops(path)


def test_a_table_is_no_file_of_crops(tmp_path: Path) -> None:
    table = write_table(place(tmp_path))
    assert read_info(table)
    with pytest.raises(UsageError, match="feature table"):
        read_crops(table)


@given(damage=damages, seen=st.booleans())
@settings(max_examples=40, deadline=None)
def test_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object], seen: bool
) -> None:
    path = made(tmp_path_factory.mktemp("damage"))
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        if seen:
            check_crops(path)
            same(path)
        else:
            crops = read_crops(path)
            assert crops.pixels.shape == PIXELS.shape
            np.testing.assert_array_equal(crops.pixel_sha256, HASHES)
    except UsageError as error:
        assert "fercache extract" in str(error)
