from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.toml_files import LARGEST, read_toml


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a = ", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"a = " + b"[" * 5_000, "is nested too deeply"),
        (b"a" + b".a" * 5_000 + b" = 1", "is nested too deeply"),
        (b"a = " + b"9" * 5_000, "is not TOML"),
        (b"a = 1\n" + b"#" * LARGEST, "is larger than 1 MiB"),
        (rb'cache = "a\u0000b"', r"'a\\x00b' contains a NUL"),
        (rb'a = [{b = [{"c\u0000" = 1}]}]', r"'c\\x00' contains a NUL"),
    ],
    ids=["syntax", "encoding", "deep", "dotted", "digits", "large", "value", "key"],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"mine\.toml.* {told}"):
        read_toml(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.toml"):
        with pytest.raises(UsageError, match=f"Cannot read {path}"):
            read_toml(path)
