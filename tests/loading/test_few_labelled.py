"""A few labelled faces of a target among the training faces of a source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.loading.batches import StoredViews
from fercache.loading.few_labelled import FIRM, read_few, repeated
from fercache.loading.labelled_faces import LabelledFaces
from fercache.loading.sources import read_source
from fercache.loading.tables import find_table
from fercache.options.train import TrainRequest
from fercache.store.schema import CLEAN
from fercache.store.tables import read_table
from tests.audits.planted import draw_folder, extracted

EXPRESSIONS = first_expressions(7)


def faces(count: int) -> LabelledFaces:
    text, numbers = np.full(count, "", dtype=object), np.arange(count)
    return LabelledFaces(
        numbers, np.zeros((count, 2)), numbers % 7, distribution=None, id=text, subject=text, group=text, dropped={}
    )


@given(st.integers(1, 500), st.integers(1, 30_000))
def test_all_labels_together_weigh_less_than_the_source_and_each_counts_equally(count: int, source: int) -> None:
    rows = repeated(faces(count), source, 7).row
    times = np.bincount(rows, minlength=count)
    assert times.min() == times.max() >= 1
    assert len(rows) == count or len(rows) == pytest.approx(source * count / (count + FIRM * 7), abs=count / 2)


def write(path: Path, ids: list[str], labels: list[str], target: str = "folder:other") -> Path:
    lines = [f"{id},{label},{target}" for id, label in zip(ids, labels, strict=True)]
    path.write_text("\n".join(["id,label,target", *lines]) + "\n")
    return path


def test_a_list_may_use_aliases_and_leave_cells_empty(tmp_path: Path) -> None:
    found = read_few(write(tmp_path / "few.csv", ["a", "b", "c"], ["happy", "", " Sad "]))
    assert [(face.line, face.id) for face in found.faces] == [(2, "a"), (4, "c")]
    assert [face.expression for face in found.faces] == ["happiness", "sadness"]
    assert str(found.target) == "folder:other"


@pytest.mark.usefixtures("pixel_encoder")
def test_they_are_the_last_training_faces_and_select_nothing(settings: Settings, tmp_path: Path) -> None:
    """The source has too few faces for source validation, so that it is cross-validated."""
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", 1, {"train": 12}))
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 4}))
    table = read_table(find_table(settings.cache, "folder:other", "pixels").path)
    rows = [9, 2, 20]
    few = write(tmp_path / "few.csv", [table.columns.id[row] for row in rows], ["fear", "anger", "neutral"])
    request = TrainRequest(source="folder:mine", encoder="pixels", device="cpu")
    alone, both = read_source(settings, request), read_source(settings, request.but(few=few))

    own, times = len(alone.faces.train), round(len(alone.faces.train) / (3 + FIRM * 7))
    assert both.own_rows == own and len(both.faces.train) == own + 3 * times
    assert torch.equal(both.faces.train.features[:own], alone.faces.train.features)
    assert torch.equal(both.faces.validation.features, alone.faces.validation.features)
    features = torch.from_numpy(table.columns.features[CLEAN][sorted(rows)].astype(np.float32)).repeat(times, 1)
    assert torch.equal(both.faces.train.features[own:], features)
    given = [EXPRESSIONS.index(name) for name in ("anger", "fear", "neutral")]
    assert [both.expressions[label] for label in both.faces.train.labels[own:]] == [
        EXPRESSIONS[label] for label in given * times
    ]
    assert both.faces.folds is not None and alone.faces.folds is not None
    assert np.array_equal(both.faces.folds[:own], alone.faces.folds) and set(both.faces.folds[own:]) == {-1}


@pytest.mark.usefixtures("pixel_encoder")
def test_they_have_views_and_crops_as_the_source(settings: Settings, tmp_path: Path) -> None:
    for name, first, split in (("mine", 1, "train"), ("other", 5000, "test")):
        root = draw_folder(tmp_path / name, first, {split: 3})
        encoder = EncoderRequest(name="pixels")
        views = 2 if name == "mine" else 0
        extract(settings, ExtractRequest(dataset=f"folder:{name}", root=root, encoder=encoder, views=views, crops=18))
    table = read_table(find_table(settings.cache, "folder:other", "pixels").path)
    few = write(tmp_path / "few.csv", list(table.columns.id[:2]), ["fear", "anger"])
    request = TrainRequest(source="folder:mine", encoder="pixels", device="cpu", few=few)
    with pytest.raises(UsageError, match=r"folder:other has no views .* fercache extract .*folder:other"):
        read_source(settings, request, recipe="cafe", with_crops=True)
    extract(
        settings, ExtractRequest(dataset="folder:other", root=tmp_path / "other", encoder=encoder, views=2, crops=18)
    )
    source = read_source(settings, request, recipe="cafe", with_crops=True)
    assert isinstance(source.faces.views, StoredViews)
    assert len(source.faces.views.features) == 3 * len(source.faces.train)
    assert source.faces.train.crops is not None and len(source.faces.train.crops) == len(source.faces.train.features)
