"""A sealed file gives back what was written, or is refused; no bytes make the reader fail in any other way."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from fercache.errors import FercacheError, UsageError
from fercache.store import sealed
from fercache.store.sealed import DamagedFileError, FileKind, Slot, opened, save_sealed, write_sealed
from tests.store.damage import damaged, damages

KIND = FileKind("box", "make box")
ARRAYS = {
    "number": np.arange(12, dtype=np.float32).reshape(4, 3),
    "inner/half": np.arange(4, dtype=np.float16),
    "inner/word": np.array(["", "a", "größer", "日本"], dtype=object),
    "none": np.empty((0, 5), np.int16),
    "no words": np.array([], dtype=object),
}
ATTRIBUTES = {"title": "Kästchen", "count": 3, "scale": 0.1, "empty": ""}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return save_sealed(tmp_path / "box.h5", KIND, ATTRIBUTES, ARRAYS)


def contents(path: Path) -> tuple[dict[str, object], dict[str, list[object]]]:
    with opened(path, KIND) as file:
        return file.attributes, {name: array.tolist() for name, array in file.arrays().items()}


def test_round_trip(box: Path) -> None:
    with opened(box, KIND) as file:
        assert ATTRIBUTES.items() <= file.attributes.items()
        arrays = file.arrays()
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_plain_hdf5_can_read_it(box: Path) -> None:
    with h5py.File(box, "r") as file:
        np.testing.assert_array_equal(file["number"][...], ARRAYS["number"])
        assert file["inner/word"].asstr()[...].tolist() == ARRAYS["inner/word"].tolist()
        assert file.attrs["title"].decode() == "Kästchen"
        assert file["number"].chunks is None


def test_parts_are_joined_as_if_written_at_once(box: Path, tmp_path: Path) -> None:
    packed = sealed.pack(ARRAYS)
    slots = {name: Slot(array.shape, array.dtype) for name, array in packed.items()}
    halves = [{name: array[:1] for name, array in packed.items()}, {name: array[1:] for name, array in packed.items()}]
    other = tmp_path / "other.h5"
    with other.open("wb") as stream:
        write_sealed(stream, KIND, ATTRIBUTES, slots, halves)
    assert other.read_bytes() == box.read_bytes()
    with pytest.raises(ValueError, match="do not fill"), other.open("wb") as stream:
        write_sealed(stream, KIND, ATTRIBUTES, slots, halves[1:])


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_refuses_text_that_it_could_not_give_back(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="Rename it"):
        save_sealed(tmp_path / "box.h5", KIND, {}, {"word": np.array([text], dtype=object)})
    assert list(tmp_path.iterdir()) == []


@given(damage=damages)
@settings(max_examples=50, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = save_sealed(folder / "box.h5", KIND, ATTRIBUTES, ARRAYS)
    whole = contents(path)
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        assert contents(path) == whole
    except UsageError as error:
        assert "make box" in str(error) or "Upgrade" in str(error)


def test_every_byte_of_an_array_counts(box: Path) -> None:
    data = box.read_bytes()
    start = data.index(ARRAYS["number"].tobytes())
    for offset in range(start, start + ARRAYS["number"].nbytes, 5):
        box.write_bytes(damaged(data, ("flip", [(offset / len(data) + 1e-9, 1)])))
        with pytest.raises(DamagedFileError, match=r"'number' has changed|make box"):
            contents(box)


def test_says_what_is_wrong(box: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no box at .*absent\.h5.*make box"):
        contents(tmp_path / "absent.h5")
    with pytest.raises(UsageError, match="Cannot read"):
        contents(tmp_path)
    with pytest.raises(DamagedFileError, match="it is a box"), opened(box, FileKind("bag", "make bag")):
        pass
    (tmp_path / "note.h5").write_text("hello")
    with pytest.raises(DamagedFileError, match="it has another beginning"):
        contents(tmp_path / "note.h5")


def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "SCHEMA", 2)
    path = save_sealed(tmp_path / "box.h5", KIND, ATTRIBUTES, ARRAYS)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="pip install --upgrade") as caught:
        contents(path)
    assert not isinstance(caught.value, DamagedFileError), "a newer file must not be set aside as damaged"


def edit(path: Path) -> h5py.File:
    return h5py.File(path, "r+", libver=("v108", "v108"))


def link_outside(path: Path) -> None:
    with edit(path) as file:
        del file["number"]
        file["number"] = h5py.ExternalLink("/etc/passwd", "/number")


def link_inside(path: Path) -> None:
    with edit(path) as file:
        file["alias"] = h5py.SoftLink("/number")


def nest(path: Path) -> None:
    with edit(path) as file:
        file["inner/deeper/number"] = np.ones(3)


def promise_much(path: Path) -> None:
    with edit(path) as file:
        del file["number"]
        file.create_dataset("number", (1 << 44,), "f4")


def promise_much_in_chunks(path: Path) -> None:
    with edit(path) as file:
        del file["number"]
        file.create_dataset("number", (1 << 44,), "f4", chunks=(1 << 20,), compression="gzip")


def store_elsewhere(path: Path) -> None:
    with edit(path) as file:
        del file["number"]
        file.create_dataset("number", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def be_virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "number", (4,))
    with h5py.File(path, "r+", libver=("v108", "latest")) as file:
        del file["number"]
        file.create_virtual_dataset("number", layout)


def be_loose_text(path: Path) -> None:
    with edit(path) as file:
        file.create_dataset("loose", data=["a", "b"], dtype=h5py.string_dtype())


def be_references(path: Path) -> None:
    with edit(path) as file:
        file.create_dataset("reference", data=np.array([file["number"].ref], dtype=h5py.ref_dtype))


def be_a_scalar(path: Path) -> None:
    with edit(path) as file:
        file["scalar"] = 1.0


def lose_checksum(path: Path) -> None:
    with edit(path) as file:
        del file["number"].attrs["sha256"]


def add_attribute(path: Path) -> None:
    with edit(path) as file:
        file.attrs["count"] = 4


def add_loose_attribute(path: Path) -> None:
    with edit(path) as file:
        file.attrs["title"] = "of any length"


def lose_the_end(path: Path) -> None:
    with edit(path) as file:
        del file.attrs["complete"]


HOSTILE = [
    link_outside,
    link_inside,
    nest,
    promise_much,
    promise_much_in_chunks,
    store_elsewhere,
    be_virtual,
    be_loose_text,
    be_references,
    be_a_scalar,
    lose_checksum,
    add_attribute,
    add_loose_attribute,
    lose_the_end,
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_refuses_a_hostile_file(box: Path, change: object) -> None:
    contents(box)
    change(box)
    with pytest.raises(DamagedFileError, match="make box"):
        contents(box)


def test_says_when_memory_does_not_suffice(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sealed.SealedFile, "raw", refuse)
    with pytest.raises(FercacheError, match="does not fit in memory") as caught:
        contents(box)
    assert not isinstance(caught.value, UsageError)


def test_writes_in_memory_of_one_part() -> None:
    class Sink(io.RawIOBase):
        """Notes the largest piece it was given."""

        largest = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def write(self, data: memoryview) -> int:
            self.largest = max(self.largest, memoryview(data).nbytes)
            return memoryview(data).nbytes

        def truncate(self, size: int | None = None) -> int:
            return size or 0

    sink = Sink()
    part = {"number": np.zeros((1000, 10), np.float32)}
    slots = {"number": Slot((200_000, 10), np.dtype(np.float32))}
    write_sealed(sink, KIND, {}, slots, (part for _ in range(200)))
    assert sink.largest <= part["number"].nbytes
