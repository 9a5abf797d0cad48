"""What a user may name for results, and that it is known before any work whether it can be written."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.output_paths import LONGEST_NAME, check_output_file, check_output_folder, is_plain_name, shown

NAMES = st.one_of(
    st.text(min_size=1, max_size=8),
    st.sampled_from(
        [" ", "-x", "C:\\x", "a\0b", "\udce9", "\ud800", "é", "..", "x" * 300, "é" * 130, "file", "folder"]
    ),
)


@given(st.lists(NAMES, min_size=1, max_size=3), st.sampled_from([".csv", ".CSV", ".json", ""]))
def test_what_passes_can_be_written_and_what_does_not_is_one_sentence(parts: list[str], ending: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "deep" / "enough"  # for two `..`
        root.mkdir(parents=True)
        (root / "file").write_text("kept")
        (root / "folder" / "in.csv").mkdir(parents=True)
        path = root.joinpath(*(part.lstrip("/") for part in parts[:-1])) / f"in{parts[-1].replace('/', '')}{ending}"
        try:
            check_output_file(path, ".csv", "--csv")
        except UsageError as error:
            assert str(error).startswith("--csv ") and str(error).isprintable()
        else:
            assert ending.lower() == ".csv" or path.name.lower().endswith(".csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a")
        assert (root / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.json", "is .csv"),
        ("x", "is .csv"),
        ("folder.csv", "is a folder"),
        ("file/x.csv", "is not a folder"),
        ("pipe.csv", "not a plain file"),
        (f"{'x' * 240}.csv", "244 bytes is too long"),
        (f"{'y' * 240}/x.csv", "240 bytes is too long"),
        ("a\0b.csv", "characters that no file can have"),
        ("\ud800.csv", "characters that no file can have"),
        ("\udfff.csv", "characters that no file can have"),
        ("nowhere/x.csv", "is not a folder"),
    ],
)
def test_each_kind_of_place_that_takes_no_file(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match=said):
        check_output_file(tmp_path / name, ".csv", "--csv")


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # tests may run as root
    with pytest.raises(UsageError, match=f"reports: .*: no permission to write to {tmp_path}"):
        check_output_folder(tmp_path / "new" / "deep", "reports:")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "-x", ".", "..", "a/b", "C:\\x", "a\nb", "a\0b", "\ud800", "\udce9", "a.", "a|b", "a?"],
)
def test_names_that_are_none(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["latest", "audit-synthetic@studio", "überblick", "a b", "v1.2", "a-b_c+d=e,f"])
def test_names_that_are(name: str) -> None:
    assert is_plain_name(name)


def test_bytes_that_are_no_text_are_shown() -> None:
    assert shown(Path(os.fsdecode(b"caf\xe9/\xc3\xa9.png"))) == "caf\\xe9/é.png"
    assert LONGEST_NAME < 255
