import csv
import gzip
import tracemalloc
from collections import Counter, deque
from pathlib import Path

import numpy as np
import pytest

from fercache.datasets import Finding
from fercache.datasets.fer2013 import plugin
from fercache.errors import UsageError
from fercache.images.decode import decode
from tests.datasets.miniatures import MINIATURES
from tests.datasets.miniatures.fer2013 import ROWS, folders, numbers
from tests.datasets.miniatures.images import pixels, write

ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
BY_ROWS = pytest.mark.parametrize("variant", ["csv", "icml"])


@BY_ROWS
def test_rows_give_splits_and_pixels(tmp_path: Path, variant: str) -> None:
    MINIATURES["fer2013"][variant](tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.split for face in faces] == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert plugin.target_split == "test"
    for number, face in enumerate(faces):
        assert np.array_equal(decode(face.read()), np.repeat(pixels(number, 48, 48)[:, :, :1], 3, axis=2))
    assert len({face.fingerprint for face in faces}) == len(ROWS)


def test_published_counts(tmp_path: Path) -> None:
    MINIATURES["fer2013"]["csv"](tmp_path / "rows")
    folders(tmp_path / "folders")
    rows, of_folders = (plugin.expected(tmp_path / name) for name in ("rows", "folders"))
    assert [sum(counts.values()) for counts in rows.values()] == [28_709, 3_589, 3_589]
    assert [sum(counts.values()) for counts in of_folders.values()] == [28_709, 2 * 3_589]
    assert all(of_folders["test"][name] == rows["validation"][name] + rows["test"][name] for name in ORDER)


def test_check_says_what_a_miniature_lacks(tmp_path: Path) -> None:
    folders(tmp_path)
    findings = plugin.check(tmp_path)
    assert Finding("train", "", 28_709, 21) in findings
    assert Finding("test", "", 7_178, 21) in findings
    assert not any(finding.agrees for finding in findings)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,{},Training", "row 2: emotion '7' and usage 'Training'. Emotions are 0 anger, 1 disgust"),
        ("-1,{},Training", "emotion '-1'"),
        ("happy,{},Training", "emotion 'happy'"),
        ("3,{},Validation", "usage 'Validation'.*Training, PublicTest, PrivateTest"),
        ("3,{},Train", "usage 'Train'"),
        ("3,{}", "line 3: 2 cells"),
        ("3", "line 3: 1 cells"),
    ],
)
def test_broken_and_truncated_rows_are_refused(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", f"3,{numbers(0)},Training", row.format(numbers(1))]))
    with pytest.raises(UsageError, match=message) as error:
        list(plugin.faces(tmp_path))
    assert str(path) in str(error.value)


def test_a_row_whose_last_pixels_were_cut_off_cannot_be_read(tmp_path: Path) -> None:
    MINIATURES["fer2013"]["icml"](tmp_path)
    path = tmp_path / "icml_face_data.csv"
    path.write_bytes(path.read_bytes()[:-1000])
    *whole, cut = plugin.faces(tmp_path)
    assert len(whole) == len(ROWS) - 1
    with pytest.raises(OSError, match="not 48 x 48 numbers"):
        cut.read()


def test_other_columns_and_one_folder_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("label,pixels,Usage\n")
    with pytest.raises(UsageError, match=r"no column emotion; expected emotion, Usage, pixels, found label"):
        list(plugin.faces(tmp_path))
    (tmp_path / "only" / "train").mkdir(parents=True)
    with pytest.raises(UsageError, match="nor both 'train' and 'test'"):
        list(plugin.faces(tmp_path / "only"))


def test_a_large_file_is_listed_in_flat_memory(tmp_path: Path) -> None:
    rows = [f"{row % 7},{numbers(row)},Training\n" for row in range(7)]
    with (tmp_path / "fer2013.csv").open("w") as stream:
        stream.write("emotion,pixels,Usage\n")
        stream.writelines(rows[row % 7] for row in range(7_000))
    assert (tmp_path / "fer2013.csv").stat().st_size > 55e6
    found: Counter[str | None] = Counter()
    tracemalloc.start()
    deque((found.update([face.label]) for face in plugin.faces(tmp_path)), maxlen=0)
    held = len(list(plugin.faces(tmp_path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held == found.total() == 7_000
    assert set(found.values()) == {1_000}
    assert peak < 20e6


class TestRealData:
    """The first rows of the original file."""

    ROWS = 1_167

    @pytest.fixture
    def head(self, real_data: Path, tmp_path: Path) -> Path:
        packed = real_data / "fer2013_head.csv.gz"
        if not packed.is_file():
            pytest.skip(f"{packed} is not there; FERCACHE_TEST_DATA names the folder that holds it")
        path = tmp_path / "fer2013.csv"
        path.write_bytes(gzip.decompress(packed.read_bytes()))
        return path

    def test_rows_are_read_as_the_csv_module_reads_them(self, head: Path) -> None:
        faces = list(plugin.faces(head.parent))
        with head.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(faces) == len(rows) == self.ROWS
        for face, row in zip(faces, rows, strict=True):
            assert face.label == ORDER[int(row["emotion"])]
            image = decode(face.read())
            assert image.shape == (48, 48, 3)
            assert image[:, :, 0].ravel().tolist() == [int(number) for number in row["pixels"].split()]

    def test_a_truncated_last_row_is_refused(self, head: Path) -> None:
        head.write_bytes(head.read_bytes()[:-100])
        with pytest.raises(UsageError, match=f"line {self.ROWS + 1}: 2 cells, but the header has 3. Take"):
            list(plugin.faces(head.parent))


@pytest.mark.parametrize("name", ["val", "validation", "PublicTest"])
def test_validation_beside_train_and_test_is_read(tmp_path: Path, name: str) -> None:
    for split in ("train", "test", name):
        write(tmp_path / split / "happy" / "a.png", b"")
    assert [face.split for face in plugin.faces(tmp_path)] == ["train", "validation", "test"]
    assert plugin.expected(tmp_path)["validation"]["happiness"] == 895
    write(tmp_path / "holdout" / "happy" / "a.png", b"")
    with pytest.raises(UsageError, match="holdout has class folders, but is not a known split"):
        list(plugin.faces(tmp_path))


def test_folders_by_the_names_of_its_csv(tmp_path: Path) -> None:
    for split in ("Training", "PublicTest", "PrivateTest"):
        write(tmp_path / split / "0_angry" / "a.png", b"")
    assert [(face.split, face.label) for face in plugin.faces(tmp_path)] == [
        (split, "anger") for split in ("train", "validation", "test")
    ]
