"""Tar shards: gone through once, read by place, with nothing in them trusted."""

import gzip
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercache.datasets import FaceImage
from fercache.datasets.webdataset import plugin
from fercache.errors import UsageError
from fercache.extraction.listing import list_faces
from fercache.layouts.tars import LARGEST_NOTE
from tests.datasets.miniatures.webdataset import image, tar


def faces(root: Path) -> list[FaceImage]:
    return list(plugin.faces(root, "mine"))


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (special("1.png", tarfile.SYMTYPE, "/etc/passwd"), "a link or device"),
        (special("1.png", tarfile.LNKTYPE, "0.png"), "a link or device"),
        (special("1.png", tarfile.FIFOTYPE), "a link or device"),
        (special("1.png", tarfile.CHRTYPE), "a link or device"),
        ("../1.png", "leads out"),
        ("/1.png", "leads out"),
        ("a/../../1.png", "leads out"),
    ],
)
def test_members_that_lead_elsewhere_are_not_read(tmp_path: Path, member: str | tarfile.TarInfo, reason: str) -> None:
    path = tar(tmp_path / "a.tar", [("0.png", image(0)), (member, b""), ("2.png", image(2))])
    first, wrong, last = faces(path)
    assert (first.read(), last.read()) == (image(0), image(2))
    with pytest.raises(OSError, match=reason):
        wrong.read()
    assert not (tmp_path / "1.png").exists()


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_shard_that_ends_too_early_is_named(tmp_path: Path, share: float) -> None:
    path = tar(tmp_path / "a.tar", [(f"{n}.png", image(n)) for n in range(30)])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data)) // 512 * 512 + 100])
    with pytest.raises(UsageError, match=r"a\.tar is not a plain tar, or is damaged after \d+ members"):
        faces(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        faces(tmp_path / "absent")
    with pytest.raises(UsageError, match="holds no tar files"):
        faces(tmp_path)
    path = tar(tmp_path / "a.tar", [("0.png", image(0))])
    (tmp_path / "b.tar").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UsageError, match=r"b\.tar is not a plain tar.*Unpack"):
        faces(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("0.cls", b"7", "not an expression"),
        ("0.cls", b"\xff\xfe", "Expected UTF-8"),
        ("0.json", b"{", "Expected UTF-8 text, or JSON"),
        ("0.json", b"[" * 100_000, "Expected UTF-8 text, or JSON"),
    ],
)
def test_labels_that_mean_nothing_are_named(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    path = tar(tmp_path / "a.tar", [("0.png", image(0)), (name, data)])
    with pytest.raises(UsageError, match=rf"a\.tar, 0\.(png|cls|json): .*{told}"):
        faces(path)


def test_null_says_nothing(tmp_path: Path) -> None:
    about = b'{"label": null, "split": null, "subject": null}'
    (face,) = faces(tar(tmp_path / "train-0.tar", [("0.png", image(0)), ("0.json", about)]))
    assert (face.label, face.split, face.subject) == (None, "train", "")


@pytest.mark.parametrize("name", ["0.cls", "0.json"])
def test_a_label_too_large_to_be_one_is_named(tmp_path: Path, name: str) -> None:
    path = tar(tmp_path / "a.tar", [("0.png", image(0)), (name, b" " * (LARGEST_NOTE + 1))])
    with pytest.raises(UsageError, match=rf"a\.tar: {name} has {LARGEST_NOTE + 1} bytes"):
        faces(path)


@pytest.mark.parametrize(
    "headers",
    [{"size": "-1"}, {"size": "-5"}, {"GNU.sparse.map": "a,b"}, {"GNU.sparse.size": "x"}],
)
def test_headers_that_lie_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    info = tarfile.TarInfo("0.png")
    info.pax_headers = headers
    with pytest.raises(UsageError, match=r"a\.tar is not a plain tar, or is damaged"):
        faces(tar(tmp_path / "a.tar", [(info, b"")]))


def test_a_header_of_endless_length_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", [(special("h", tarfile.XHDTYPE), b"9" * 30 + b" x=y\n"), ("0.png", image(0))])
    with pytest.raises(UsageError, match=r"a\.tar is not a plain tar, or is damaged"):
        faces(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    info = special("long", kind)
    info.size = 2**30
    path = tmp_path / "a.tar"
    with path.open("wb") as stream:
        stream.write(info.tobuf())
        stream.truncate(2**30)
    tracemalloc.start()
    with pytest.raises(UsageError, match="a header of 1073741824 bytes"):
        faces(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_a_shard_that_changes_afterwards_is_no_longer_read(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", [("0.png", image(0))])
    (face,) = faces(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(OSError, match="shorter"):
        face.read()


def test_listing_a_shard_takes_little_memory(tmp_path: Path) -> None:
    """4,000 members of 20 kB: none of their 80 MB is kept."""
    data = bytes(20_000)
    path = tar(tmp_path / "a.tar", ((f"{n:05}.png", data) for n in range(4_000)))
    tracemalloc.start()
    listing = list_faces("webdataset:mine", faces(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(listing.faces) == 4_000
    assert peak < 40 * 2**20  # other threads of this process may hold some of it


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(0, 5 * 512 - 1), st.integers(0, 255)), max_size=8), cut=st.integers(0, 10_240)
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    path = tar(tmp_path / "a.tar", [("0.png", image(0)), ("0.cls", b"anger"), ("1.json", b'{"label": "sad"}')])
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[place % len(data)] = value
    path.write_bytes(data[:cut])
    try:
        found = faces(path)
    except UsageError:
        return
    for face in found:
        try:
            face.read()
        except OSError:
            continue


def test_folders_of_shards_are_splits_and_class_names_are_numbers(tmp_path: Path) -> None:
    """As CLIP_benchmark keeps FER2013."""
    for split, first in (("train", 0), ("test", 7)):
        members = [
            (f"s{n}.{end}", data) for n in (0, 1) for end, data in (("webp", image(first + n)), ("cls", b"%d" % n))
        ]
        tar(tmp_path / split / "0.tar", members)
        (tmp_path / split / "nshards.txt").write_text("1")
    (tmp_path / "classnames.txt").write_text("angry\nHappy\n\n")
    assert [(face.id, face.split, face.label) for face in faces(tmp_path)] == [
        ("test/0.tar/s0.webp", "test", "anger"),
        ("test/0.tar/s1.webp", "test", "happiness"),
        ("train/0.tar/s0.webp", "train", "anger"),
        ("train/0.tar/s1.webp", "train", "happiness"),
    ]
    (tmp_path / "classnames.txt").write_text("angry\nbored\n")
    with pytest.raises(UsageError, match=r"classnames\.txt: 'bored' is not an expression"):
        faces(tmp_path)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("faces-000", "faces-001"), ["", ""]),
        (("train-000", "holdout-000"), ["holdout", "train"]),
        (("fer_train_0", "fer_dev_0"), ["validation", "train"]),
        (("train0", "x"), ["", ""]),
    ],
)
def test_splits_by_names_of_shards(tmp_path: Path, names: tuple[str, ...], splits: list[str]) -> None:
    for number, name in enumerate(names):
        tar(tmp_path / f"{name}.tar", [("0.jfif", image(number))])
    assert [face.split for face in faces(tmp_path)] == splits


@pytest.mark.parametrize("about", [{"split": "Test", "label": "joy"}, {"Usage": "test", "emotion": "joy"}])
def test_json_by_the_names_that_lists_have(tmp_path: Path, about: dict[str, str]) -> None:
    tar(tmp_path / "a.tar", [("0.png", image(0)), ("0.json", json.dumps(about).encode())])
    assert [(face.split, face.label) for face in faces(tmp_path)] == [("test", "happiness")]
