"""Tables of copies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fercache.errors import UsageError
from fercache.store.copies import Copies, copies_path, read_copies, write_copies
from tests.store.damage import damaged, damages
from tests.store.made_tables import KEY, place

_random = np.random.default_rng(0)
COPIES = Copies(
    _random.standard_normal((3, 4)).astype(np.float32),
    {
        "jpeg 90": _random.standard_normal((3, 4)).astype(np.float32),
        "mirrored": np.arange(12, dtype="f4").reshape(3, 4),
    },
)


def made(cache: Path) -> Path:
    return write_copies(copies_path(place(cache)), KEY, COPIES)


def same(found: Copies) -> None:
    np.testing.assert_array_equal(found.original, COPIES.original, strict=True)
    assert found.changed.keys() == COPIES.changed.keys()
    for kind, features in COPIES.changed.items():
        np.testing.assert_array_equal(found.changed[kind], features, strict=True)


def test_round_trip(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert path == tmp_path / "copies" / "made" / place(tmp_path).name
    same(read_copies(path))


def test_half_precision_is_kept(tmp_path: Path) -> None:
    half = Copies(COPIES.original.astype(np.float16), {"mirrored": COPIES.original.astype(np.float16)})
    assert read_copies(write_copies(tmp_path / "copies.h5", KEY, half)).original.dtype == np.float16


@pytest.mark.parametrize(
    "wrong",
    [
        Copies(COPIES.original, {"mirrored": COPIES.original[:2]}),
        Copies(COPIES.original[0], {}),
        Copies(COPIES.original.astype(int), {}),
    ],
)
def test_every_face_has_every_copy(tmp_path: Path, wrong: Copies) -> None:
    with pytest.raises(ValueError, match="faces and their copies"):
        write_copies(tmp_path / "copies.h5", KEY, wrong)
    assert not list(tmp_path.iterdir())


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no table of copies.*fercache extract"):
        read_copies(copies_path(place(tmp_path)))


@given(damage=damages)
@settings(max_examples=30, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    path = made(tmp_path_factory.mktemp("damage"))
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        same(read_copies(path))
    except UsageError as error:
        assert "fercache extract" in str(error)
