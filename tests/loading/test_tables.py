"""Which of several tables is taken: the one that was asked for last, whatever the files' own times are."""

import os
import shutil
from pathlib import Path

import pytest

from fercache import Settings
from fercache.errors import FercacheError
from fercache.loading.tables import find_table, goes_by
from fercache.store import shards
from fercache.store.tables import find_tables
from tests.audits.planted import draw_folder, extracted, first_of

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def two_tables(settings: Settings, root: Path) -> tuple[Path, Path, Path]:
    """Of a set, and of the same set without an image, which is put back."""
    image = first_of(draw_folder(root, 0, {"train": 2}), "train/anger")
    first = extracted(settings, "folder:mine", root)
    away = shutil.move(image, root.parent / "away.png")
    second = extracted(settings, "folder:mine", root)
    shutil.move(away, image)
    return first, second, root


def test_the_table_that_was_requested_last_is_used_and_named(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, root = two_tables(settings, tmp_path / "mine")
    for path in (second, *settings.cache.rglob("*.asked")):
        os.utime(path, (0, 0))
    capsys.readouterr()
    assert find_table(settings.cache, "folder:mine", None).path == second
    printed = capsys.readouterr().err
    assert f"using {second.name}, which was requested last" in printed and first.name in printed
    assert [table.path for table in find_tables(settings.cache)] == [second, first]
    assert extracted(settings, "folder:mine", root) == first
    assert find_table(settings.cache, "folder:mine", None).path == first


def test_one_table_needs_no_words(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", 0, {"train": 1}))
    capsys.readouterr()
    find_table(settings.cache, "folder:mine", None)
    assert capsys.readouterr().err == ""


def test_a_finished_table_needs_no_lock(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "mine", 0, {"train": 1})
    table = extracted(settings, "folder:mine", root)

    def refuse(path: Path) -> None:
        raise FercacheError(f"Cannot write {path}: read-only file system.")

    monkeypatch.setattr(shards, "holding", refuse)
    assert extracted(settings, "folder:mine", root) == table


@pytest.mark.parametrize(
    ("name", "encoder", "expected"),
    [
        ("bundled", "bundled", True),
        ("bundled--mine", "bundled", True),
        ("bundled-1", "bundled", False),
        ("bundled-1", "bundled@1", True),
        ("vit-b-32--openai", "ViT-B-32/openai", True),
        ("vit-b-32--openai", "ViT-B-32", True),
        ("vit-b-32-quickgelu--openai", "ViT-B-32", False),
    ],
)
def test_an_encoder_goes_by_its_name_with_or_without_its_weights(name: str, encoder: str, expected: bool) -> None:
    assert goes_by(name, encoder) is expected
