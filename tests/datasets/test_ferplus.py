import csv
import gzip
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fercache.datasets import LEFT_OUT
from fercache.datasets.ferplus import plugin
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.images.decode import decode
from fercache.votes import voted_labels
from tests.datasets.miniatures.ferplus import FERPLUS, ballot, ferplus, write_folders, write_list, write_pixel_rows
from tests.datasets.miniatures.images import LISTS, pixels

ABSENT = (-1,) * 10


def test_folders_give_the_votes_of_both_label_files(tmp_path: Path) -> None:
    ferplus(tmp_path)
    faces = {face.id: face for face in plugin.faces(tmp_path)}
    assert faces["fer0000004.png"].votes == ballot(contempt=8, neutral=2) + ballot(surprise=9, fear=1)
    assert faces["fer0006953.png"].votes == ballot(happiness=10) * 2
    assert faces["fer0006953.png#2"].votes == ballot(happiness=10) + ABSENT
    assert faces["fer0000006.png"].split == "validation"
    assert np.array_equal(decode(faces["fer0000007.png"].read())[:, :, 0], pixels(7, 48, 48)[:, :, 0])


def test_without_label_files_in_the_folders_their_columns_are_unknown(tmp_path: Path) -> None:
    write_list(tmp_path)
    write_folders(tmp_path, label_files=False)
    assert {face.votes[10:] for face in plugin.faces(tmp_path) if face.votes} == {ABSENT}


def test_label_files_alone_are_enough(tmp_path: Path) -> None:
    write_folders(tmp_path)
    faces = {face.id: face for face in plugin.faces(tmp_path)}
    assert len(faces) == 10
    assert faces["fer0000004.png"].votes == ABSENT + ballot(surprise=9, fear=1)
    assert {finding.label.partition(":")[0] for finding in plugin.check(tmp_path)} == {"", "folders"}


def test_pixel_rows_are_joined_by_position(tmp_path: Path) -> None:
    write_list(tmp_path)
    write_pixel_rows(tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.id for face in faces][:4] == ["fer0000000.png", "fer0006953.png", "fer0000003.png", "fer0006953.png#2"]
    rows = [row for row, line in enumerate(FERPLUS) if line.name]
    for face, row in zip(faces, rows, strict=True):
        assert np.array_equal(decode(face.read()), np.repeat(pixels(row, 48, 48)[:, :, :1], 3, axis=2))


def test_quoted_pixels_and_other_line_ends_are_read(tmp_path: Path) -> None:
    write_list(tmp_path)
    write_pixel_rows(tmp_path)
    path = tmp_path / "fer2013.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_bytes("\n".join(f'{a},"{b}",{c}' for a, b, c in rows).replace('"pixels"', "pixels").encode() + b"\n\n")
    assert np.array_equal(decode(next(plugin.faces(tmp_path)).read())[:, :, 0], pixels(0, 48, 48)[:, :, 0])


def test_pixel_rows_of_another_file_are_refused(tmp_path: Path) -> None:
    write_list(tmp_path)
    write_pixel_rows(tmp_path, FERPLUS[:-1])
    with pytest.raises(UsageError, match=r"has 11 rows and fer2013new.csv has 12"):
        list(plugin.faces(tmp_path))
    write_pixel_rows(tmp_path, (*FERPLUS, FERPLUS[-1]))
    with pytest.raises(UsageError, match="row 13"):
        list(plugin.faces(tmp_path))
    write_pixel_rows(tmp_path, (FERPLUS[-1], *FERPLUS[1:]))
    with pytest.raises(UsageError, match="row 1:"):
        list(plugin.faces(tmp_path))
    (tmp_path / "fer2013.csv").write_text("emotion,Usage\n0,Training\n")
    with pytest.raises(UsageError, match="no column pixels"):
        list(plugin.faces(tmp_path))


@pytest.mark.parametrize("damaged", ["1 2 3", "300 " * 2304, "-1 " * 2304, "x " * 2304])
def test_a_damaged_row_of_pixels_cannot_be_read(tmp_path: Path, damaged: str) -> None:
    write_list(tmp_path, FERPLUS[:1])
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,{damaged},Training\n")
    face = next(plugin.faces(tmp_path))
    with pytest.raises(OSError, match="48 x 48"):
        face.read()


def test_an_image_that_is_not_there_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    ferplus(tmp_path)
    (tmp_path / "FER2013Train" / "fer0000003.png").unlink()
    faces = {face.id: face for face in plugin.faces(tmp_path)}
    assert len(faces) == 11
    with pytest.raises(FileNotFoundError):
        faces["fer0000003.png"].read()


def test_wrong_roots_are_refused_with_the_layout(tmp_path: Path) -> None:
    write_folders(tmp_path / "no-lists", label_files=False)
    with pytest.raises(UsageError, match=r"neither fer2013new.csv nor a label.csv.*Expected:"):
        list(plugin.faces(tmp_path / "no-lists"))
    write_list(tmp_path / "no-images")
    with pytest.raises(UsageError, match=r"none of the images and no fer2013.csv.*Expected:"):
        list(plugin.faces(tmp_path / "no-images"))


def test_broken_lists_are_refused_with_the_line(tmp_path: Path) -> None:
    ferplus(tmp_path)
    labels = tmp_path / "FER2013Valid" / "label.csv"
    labels.write_text(labels.read_text() + 'fer0000009.png,"(0, 0, 48, 48)",1,2\n')
    with pytest.raises(UsageError, match=r"label.csv, line 3"):
        list(plugin.faces(tmp_path))
    write_list(tmp_path, [FERPLUS[0], replace(FERPLUS[1], usage="Trial")])
    labels.unlink()
    with pytest.raises(UsageError, match=r"fer2013new.csv, line 3"):
        list(plugin.faces(tmp_path))
    with (tmp_path / "fer2013new.csv").open("a") as stream:
        stream.write('"' + "x" * 200_000)
    with pytest.raises(UsageError, match=r"fer2013new.csv, line 3"):
        list(plugin.faces(tmp_path))
    (tmp_path / "fer2013new.csv").write_text("Usage,Image name,neutral\n")
    with pytest.raises(UsageError, match="no column happiness, surprise"):
        list(plugin.faces(tmp_path))


class TestRealData:
    """The published counts, on the real files."""

    TOTALS = (
        ("fer2013new", 8, (25_060, 3_199, 3_153)),
        ("fer2013new", 7, (24_941, 3_186, 3_137)),
        ("folders", 8, (25_045, 3_191, 3_137)),
        ("folders", 7, (24_925, 3_175, 3_122)),
    )
    FOLDERS: ClassVar = {  # neutral happiness surprise sadness anger disgust fear contempt
        "train": (8733, 7284, 3136, 3022, 2098, 116, 536, 120),
        "validation": (1180, 862, 411, 348, 289, 25, 60, 16),
        "test": (1083, 892, 394, 382, 269, 16, 86, 15),
    }

    @pytest.fixture(scope="class")
    def columns(self, ferplus_root: Path) -> tuple[np.ndarray, np.ndarray]:
        faces = list(plugin.faces(ferplus_root))
        return np.array([face.split for face in faces]), np.array([face.votes for face in faces], dtype=np.int16)

    def count(self, columns: tuple[np.ndarray, np.ndarray], file: str, classes: int, split: str) -> Counter[str]:
        splits, votes = columns
        labels = voted_labels(first_expressions(classes), votes[splits == split], plugin.vote_columns, label_file=file)
        return Counter(labels.expressions[index] for index in labels.index[labels.kept])

    def test_lists_every_image_and_the_four_names_that_stand_twice(self, ferplus_root: Path) -> None:
        ids = [face.id for face in plugin.faces(ferplus_root)]
        assert len(ids) == 35_714
        assert sum("#" not in id for id in ids) == 35_710
        assert {id for id in ids if "#" in id} == {
            f"fer{n}.png#2" for n in ("0006953", "0011785", "0008403", "0033120")
        }

    @pytest.mark.parametrize(("file", "classes", "totals"), TOTALS)
    def test_totals(
        self, columns: tuple[np.ndarray, np.ndarray], file: str, classes: int, totals: tuple[int, ...]
    ) -> None:
        found = [self.count(columns, file, classes, split).total() for split in ("train", "validation", "test")]
        assert found == list(totals)

    @pytest.mark.parametrize("split", list(FOLDERS))
    def test_counts_per_class(self, columns: tuple[np.ndarray, np.ndarray], split: str) -> None:
        found = self.count(columns, "folders", 8, split)
        assert [found[name] for name in plugin.expressions] == list(self.FOLDERS[split])

    def test_the_files_disagree_on_1601_images(self, columns: tuple[np.ndarray, np.ndarray]) -> None:
        """1,602 are published: that counts the second line of fer0033120.png, which says NF, in place of the first."""
        _, votes = columns
        known = (votes >= 0).all(axis=1)
        assert int((votes[known, :10] != votes[known, 10:]).any(axis=1).sum()) == 1_601

    def test_check_agrees(self, ferplus_root: Path) -> None:
        findings = plugin.check(ferplus_root)
        counted = [finding for finding in findings if not finding.label.startswith(LEFT_OUT)]
        assert len(counted) == 3 * (1 + 2 * 8)
        assert all(finding.agrees and finding.expected is not None for finding in counted)
        assert sum(finding.found for finding in findings if finding not in counted) == 173

    def test_rows_of_the_original_csv_are_the_images_in_the_folders(
        self, ferplus_root: Path, real_data: Path, tmp_path: Path
    ) -> None:
        with gzip.open(real_data / "fer2013_head.csv.gz", "rb") as stream:
            head = [line for line in stream if line.endswith(b"Training\n")]
        (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n" + b"".join(head))
        with (ferplus_root / "fer2013new.csv").open(newline="") as stream:
            lines = list(csv.reader(stream))[: len(head) + 1]
        with (tmp_path / "fer2013new.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
        tracemalloc.start()
        faces = list(plugin.faces(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(faces) > 1_100
        assert peak < (tmp_path / "fer2013.csv").stat().st_size / 2, "the pixels must not be held"
        images = {face.id: face for face in plugin.faces(ferplus_root)}
        for face in faces[::10]:
            assert np.array_equal(decode(face.read()), decode(images[face.id].read()))


def test_the_lists_of_the_miniature_are_the_checked_in_ones(tmp_path: Path) -> None:
    ferplus(tmp_path)
    for path in (LISTS / "ferplus").rglob("*.csv"):
        written = (tmp_path / path.relative_to(LISTS / "ferplus")).read_text(encoding="utf-8")
        assert written == path.read_text(encoding="utf-8")


def test_pixels_of_the_other_name_and_with_spaces_in_the_header(tmp_path: Path) -> None:
    write_list(tmp_path)
    write_pixel_rows(tmp_path)
    expected = [face.read().tobytes() for face in plugin.faces(tmp_path)]  # type: ignore[union-attr]
    path = tmp_path / "fer2013.csv"
    header, _, rest = path.read_text().partition("\n")
    path.unlink()
    (tmp_path / "icml_face_data.csv").write_text(header.replace(",", ", ") + "\n" + rest)
    assert [face.read().tobytes() for face in plugin.faces(tmp_path)] == expected  # type: ignore[union-attr]
