import os
from pathlib import Path

import numpy as np
import pytest

from fercache.datasets.folder import plugin
from fercache.errors import UsageError
from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from fercache.layouts.folders import LARGEST_FILE
from tests.datasets.miniatures.images import encoded, pixels, write
from tests.datasets.miniatures.own_images import folder

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


def test_splits_and_classes_by_alias(tmp_path: Path) -> None:
    truth = folder(tmp_path).truth
    faces = list(plugin.faces(tmp_path))
    assert {face.id: face.label for face in faces} == truth
    assert [face.split for face in faces] == ["train"] * 16 + ["validation"] * 16 + ["test"] * 16
    assert np.array_equal(decode(faces[0].read()), pixels(list(truth).index(faces[0].id)))


def test_without_splits_the_order_is_by_name(tmp_path: Path) -> None:
    for name in ("sad/2.jpg", "sad/10.jpg", "joy/1.jpg"):
        write(tmp_path / name, encoded(pixels(1), "JPEG"))
    (tmp_path / "anger").mkdir()
    assert [(f.id, f.split, f.label) for f in plugin.faces(tmp_path)] == [
        ("joy/1.jpg", "", "happiness"),
        ("sad/10.jpg", "", "sadness"),
        ("sad/2.jpg", "", "sadness"),
    ]


def test_what_is_no_image_is_listed_and_unreadable(tmp_path: Path) -> None:
    write(tmp_path / "happy" / "a.jpg", b"not an image")
    write(tmp_path / "happy" / "b", encoded(pixels(3)))
    text, image = plugin.faces(tmp_path)
    with pytest.raises(Unreadable, match="text"):
        decode(text.read())
    assert np.array_equal(decode(image.read()), pixels(3))


def test_unknown_class_folders_are_all_named_with_the_aliases(tmp_path: Path) -> None:
    for name in ("happy", "bored", "5"):
        write(tmp_path / "train" / name / "a.png", encoded(pixels(1)))
    with pytest.raises(UsageError, match=r"not expressions: 5, bored\..*happiness: happiness, happy, joy") as error:
        list(plugin.faces(tmp_path))
    assert str(tmp_path / "train") in str(error.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "holds no images"),
        (("train/happy/.DS_Store", "train/sad/Thumbs.db"), "holds no images"),
        (("a.JPG", "b.png"), "2 images outside the class folders, such as a.JPG"),
        (("happy/a.png", "b.png"), "1 images outside the class folders, such as b.png"),
        (("train/a.png", "train/happy/b.png"), "1 images outside the class folders, such as a.png"),
        (("a.png", "train/happy/b.png"), "1 images outside the class folders, such as a.png"),
        (("train/happy/a.png", "extra/happy/b.png"), "but also extra"),
        (("train/happy/a.png", "val/happy/a.png", "valid/happy/a.png"), "but also val"),
        (("happy/more/a.png",), "is a folder in a class folder"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    for name in files:
        write(tmp_path / name, encoded(pixels(1)))
    with pytest.raises(UsageError, match=message):
        list(plugin.faces(tmp_path))


@needs_links
def test_links_inside_the_root_are_followed_and_links_out_of_it_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    inside = write(root / "happy" / "a.png", encoded(pixels(1)))
    (root / "happy" / "b.png").symlink_to(inside)
    assert [decode(face.read()).shape for face in plugin.faces(root)] == [(12, 10, 3)] * 2
    (root / "sad").symlink_to(write(tmp_path / "elsewhere" / "c.png", encoded(pixels(1))).parent)
    with pytest.raises(UsageError, match="sad is a link that leaves"):
        list(plugin.faces(root))


@needs_links
def test_a_dangling_link_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "happy" / "a.png", encoded(pixels(1)))
    (tmp_path / "happy" / "b.png").symlink_to(tmp_path / "happy" / "absent.png")
    _, dangling = plugin.faces(tmp_path)
    with pytest.raises(FileNotFoundError):
        dangling.read()


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "happy" / "a.png", b"")
    with path.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)  # sparse: takes no room
    with pytest.raises(OSError, match="larger than 256 MB"):
        next(plugin.faces(tmp_path)).read()


def test_check_counts_and_expects_nothing(tmp_path: Path) -> None:
    folder(tmp_path)
    findings = plugin.check(tmp_path)
    assert all(finding.agrees and finding.expected is None for finding in findings)
    assert sum(finding.found for finding in findings if finding.label) == 48


@pytest.mark.parametrize("name", ["1_surprise", "03 - Happy", "0.ANGRY", "07-AF"])
def test_a_number_before_a_class_does_not_count(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "a.png", encoded(pixels(1)))
    (face,) = plugin.faces(tmp_path)
    assert face.label in ("surprise", "happiness", "anger", "fear")


def test_folders_by_domain_are_datasets_of_their_own(tmp_path: Path) -> None:
    for domain in ("My office", "home"):
        write(tmp_path / domain / "happy" / "a.png", encoded(pixels(1)))
    with pytest.raises(UsageError, match=r"holds 2 domains: My office, home.*--dataset folder:my-office --root '.*My"):
        list(plugin.faces(tmp_path))
    assert len(list(plugin.faces(tmp_path / "My office"))) == 1


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_a_list_beside_images_is_named_with_the_command_that_reads_it(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.png", encoded(pixels(1)))
    write(tmp_path / name, b"")
    with pytest.raises(UsageError, match=rf"{name} lists these images: --dataset manifest:NAME --root .*{name}"):
        list(plugin.faces(tmp_path))
