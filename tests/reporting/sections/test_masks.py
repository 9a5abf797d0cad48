"""Which masks are drawn, from made-up predictions, and their description on the page."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from fercache.records import WITHOUT_DUPLICATES, Record, frame, predictions_path
from fercache.reporting.boards import boards
from fercache.reporting.page import write_report
from fercache.reporting.sections.masks import MaskFigure, mask_figures
from fercache.store.runs import StoredPredictions, write_predictions
from tests.fake_records import CLASSES, fake_record
from tests.reporting.test_figures import images_in
from tests.reporting.test_page import Outline, section

TESTS = {"synthetic:studio": (9.0, 0.001), "synthetic:night": (4.0, 0.002), "synthetic:webcam": (0.6, 0.3)}


def with_masks(target: str, head: str = "sigmoid-mask", **changes: Any) -> Record:
    distance, p = TESTS.get(target, (1.0, 0.01))
    mask = {"distance": distance, "null": 0.5, "p": p, "shuffles": 999}
    return fake_record(head, target=target, **({"mask": mask} | changes))


def predicted(cache: Path, record: Record, contrast: float = 0.6) -> Record:
    """Writes predictions whose masks pass the expression's own group of two channels more than the others."""
    mask = np.float32(0.2) + np.float32(contrast) * np.eye(7, dtype=np.float32).repeat(2, axis=1)
    predictions = StoredPredictions(
        expressions=CLASSES,
        id=np.array(["a"], dtype=object),
        truth=np.array([0]),
        logits={"main": np.zeros((1, 7), np.float32)},
        sample=np.array([0]),
        features=np.ones((1, 14), np.float16),
        mask_mean=mask,
    )
    write_predictions(predictions_path(cache / "runs" / record.run, record), predictions, {})
    return record


def drawn(records: list[Record], cache: Path) -> list[MaskFigure]:
    return mask_figures(records, boards(frame(records)), cache)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Two seeds of a head with masks on three targets, under two policies, and a head without."""
    bound = {"mask": {"distance": 77, "null": 1, "p": 0.5, "shuffles": 999}}
    masked = [
        predicted(
            tmp_path, with_masks(target, seed=seed, selection=selection, **bound if selection == "oracle" else {})
        )
        for target in TESTS
        for seed in (1, 2)
        for selection in ("source-val", "oracle")
    ]
    return masked + [fake_record("linear-probe", seed, target) for target in TESTS for seed in (1, 2)]


def test_there_is_one_figure_per_method_of_its_first_seed_on_source_and_targets(
    records: list[Record], tmp_path: Path
) -> None:
    (figure,) = drawn(records, tmp_path)
    assert (figure.file, figure.seed) == ("masks-sigmoid-mask-synthetic-studio.svg", 1)
    assert list(figure.panels) == ["synthetic:studio", "synthetic:night", "synthetic:webcam"]
    titles = [re.findall(r"<title>(.*?)</title>", panel.svg)[0] for panel in figure.panels.values()]
    assert titles[0].startswith("On synthetic:studio (source)") and titles[2].startswith("On synthetic:webcam (unseen)")
    assert "0.60 (0.50, p = 0.3)" in titles[2]
    assert "77" not in figure.described
    assert figure.described.startswith(
        "synthetic:studio 9.00 (0.50, p = 0.001); synthetic:night 4.00 (0.50, p = 0.002)"
    )
    assert ElementTree.fromstring(figure.document).tag.endswith("svg")


def test_what_is_drawn_is_the_deviation_from_the_mean_over_expressions(records: list[Record], tmp_path: Path) -> None:
    (figure,) = drawn(records, tmp_path)
    assert all("+0.51" in panel.svg for panel in figure.panels.values())  # 0.8 - (0.8 + 6 * 0.2) / 7


def test_only_masks_with_a_test_are_drawn_and_corrupted_and_unique_targets_are_not(tmp_path: Path) -> None:
    targets = ("synthetic:studio", "synthetic:night", "synthetic:night+blur:1")
    records = [predicted(tmp_path, with_masks(target)) for target in targets]
    records.append(with_masks("synthetic:night", without_duplicates=True))
    records.append(predicted(tmp_path, with_masks("synthetic:webcam", mask=None)))
    assert any(record.target_label.endswith(WITHOUT_DUPLICATES) for record in records)
    (figure,) = drawn(records, tmp_path)
    assert list(figure.tests) == list(figure.panels) == ["synthetic:studio", "synthetic:night"]


def test_methods_of_one_head_have_files_of_their_own(tmp_path: Path) -> None:
    settings = [{"trunk": "mlp", "mask": mask} for mask in ("sigmoid", "linear")]
    records = [predicted(tmp_path, with_masks("synthetic:night", settings=each)) for each in settings]
    files = {figure.file for figure in drawn(records, tmp_path)}
    assert len(files) == 2
    assert all(re.fullmatch(r"masks-sigmoid-mask-synthetic-studio-\w{8}-\w{8}\.svg", file) for file in files)


def test_masks_that_are_all_alike_look_alike(tmp_path: Path) -> None:
    (figure,) = drawn([predicted(tmp_path, with_masks("synthetic:night"), contrast=0)], tmp_path)
    (panel,) = figure.panels.values()
    assert not images_in(panel.svg)[0][..., 3].any()  # nothing but the page's background


def test_a_target_without_predictions_is_named_and_its_test_still_given(records: list[Record], tmp_path: Path) -> None:
    for record in records:
        if record.target == "synthetic:night":
            predictions_path(tmp_path / "runs" / record.run, record).unlink(missing_ok=True)
    page = write_report(records, tmp_path / "report", tmp_path).read_text(encoding="utf-8")
    masks = section(page, "masks")
    assert masks.count("<svg") == 2 and "synthetic:night 4.00" in masks
    assert "their predictions were deleted: synthetic:night. " in masks


def test_the_page_shows_the_masks_and_loads_nothing(records: list[Record], tmp_path: Path) -> None:
    path = write_report(records, tmp_path / "report", tmp_path)
    page = path.read_text(encoding="utf-8")
    masks, outline = section(page, "masks"), Outline(page)
    assert masks.count("<svg") == 3 and "synthetic:webcam 0.60 (0.50, p = 0.3)" in masks
    assert outline.open == [] and {"href": "#masks"} in outline.all("a")
    assert all((link["xlink:href"] or "").startswith("data:image/png") for link in outline.all("image"))
    assert not re.search(r"https?:|url\((?!#)", page)
    document = (path.parent / "masks-sigmoid-mask-synthetic-studio.svg").read_text(encoding="utf-8")
    assert (path.parent / "figures" / "masks-sigmoid-mask-synthetic-studio-synthetic-night.png").is_file()
    assert len(document) < 60_000 and "masks-sigmoid-mask-synthetic-studio.svg" in page


def test_a_drawing_of_an_earlier_report_is_removed(records: list[Record], tmp_path: Path) -> None:
    write_report(records, tmp_path / "report", tmp_path)
    page = write_report([fake_record()], tmp_path / "report", tmp_path)
    assert not list(page.parent.glob("*.svg"))
    assert "Masks" not in page.read_text(encoding="utf-8")
