"""Experiments made small: the same shape on three folders of a few wallpapers, with an encoder that takes no time."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fercache import Settings
from fercache.datasets import DatasetName
from fercache.experiments.config import Experiment, HeadEntry
from fercache.expressions import EXPRESSIONS
from fercache.heads import FitSettings
from fercache.registry import load
from tests.audits.planted import wallpaper

FOLDERS = ("folder:one", "folder:two", "folder:three")
FACES = {"train": 6, "test": 2}
"""Per expression."""
TRUNKS = dict.fromkeys(("resnet18", "swin_tiny_patch4_window7_224"), "test_resnet")
"""timm's smallest network instead of those that take seconds."""


def draw_folders(root: Path) -> dict[str, Path]:
    """Images of the expression's wallpaper and one of their own, no two alike."""
    number = 0
    for name in FOLDERS:
        for split, count in FACES.items():
            for expression in EXPRESSIONS[:7]:
                folder = root / name.partition(":")[2] / split / expression
                folder.mkdir(parents=True)
                for _ in range(count):
                    pixels = 0.6 * wallpaper(0, EXPRESSIONS.index(expression)) + 0.4 * wallpaper(1, number)
                    Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03}.png")
                    number += 1
    return {name: root / name.partition(":")[2] for name in FOLDERS}


def settings_in(folder: Path, roots: dict[str, Path]) -> Settings:
    return Settings(cache=folder / "cache", reports=folder / "reports", datasets=roots)


def miniature(experiment: Experiment) -> Experiment:
    """One source on two targets, or three datasets, each left out once; grids of two values, one epoch, one seed."""
    renamed: dict[str, str] = {}

    def folder(name: str) -> str:
        parsed = DatasetName.parse(name)
        taken = renamed.setdefault(str(parsed.clean), FOLDERS[len(renamed) % len(FOLDERS)])
        return taken + ("+blur:2" if parsed.corruption else "")

    def folders(names: tuple[str, ...], count: int) -> list[str]:
        return list(dict.fromkeys(map(folder, names)))[:count]

    corrupted = [f"{FOLDERS[0]}+blur:2"] if any("+" in target for target in experiment.targets) else []
    most = 3 if experiment.leave_one_out or experiment.adapt else None
    content = experiment.model_dump(mode="json") | {
        "encoder": "pixels",
        "preprocessing": "clip",
        "views": min(experiment.views, 1),
        "crops": 32 if experiment.crops else None,
        "sources": folders(tuple(str(source) for source in experiment.sources), 1),
        "leave_one_out": folders(experiment.leave_one_out, 3),
        "targets": [*FOLDERS[:2], *corrupted] if experiment.sources else [],
        "seeds": list(experiment.seeds[:1]),
        "heads": [_small(entry) for entry in experiment.heads[:most]],
    }
    asked = ("sources", "leave_one_out", "targets")
    return Experiment.model_validate({name: value for name, value in content.items() if value or name not in asked})


def _small(entry: HeadEntry) -> dict[str, Any]:
    gradient = issubclass(load("heads", entry.head).Settings, FitSettings)
    settings = {name: value for name, value in entry.settings.items() if name != "trunk_options"}
    settings |= {"epochs": 1} if gradient else {}
    settings |= {"normalise": "l2"} if entry.head == "linear-probe" else {}  # a third of its candidates
    grid = {
        name: list(dict.fromkeys(_small_trunk(value) for value in values[:2])) for name, values in entry.grid.items()
    }
    small = {"head": entry.head, "settings": settings, "grid": grid}
    return small | ({"trunk": _small_trunk(entry.trunk)} if entry.trunk else {})


def _small_trunk(value: Any) -> Any:
    return TRUNKS.get(value, value) if isinstance(value, str) else value
