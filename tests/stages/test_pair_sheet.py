"""The sheet shows images from any root."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fercache import Settings
from fercache.datasets import DatasetName
from fercache.stages._pair_sheet import LabelledImage, write_pair_sheet
from tests.datasets.miniatures.own_images import manifest
from tests.layouts.test_remote import in_memory


def test_pairs_of_a_remote_dataset_are_shown(tmp_path: Path) -> None:
    manifest(tmp_path / "set")
    root = f"{in_memory(tmp_path / 'set', 'pairs')}/faces.csv"
    table: Any = SimpleNamespace(identity={"dataset": "manifest:mine"}, provenance={"root": root})
    one, other = (LabelledImage("manifest:mine", id, "") for id in ("a/0.png", "a/1.png"))
    settings, tables = Settings(cache=tmp_path / "cache"), {DatasetName.parse("manifest:mine"): table}
    assert write_pair_sheet(tmp_path / "sheet.png", settings, [(one, other, 0.9)], tables) is not None
