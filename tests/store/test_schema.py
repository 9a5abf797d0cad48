"""Columns fit together, or are refused."""

from dataclasses import replace

import numpy as np
import pytest

from fercache.store.schema import Columns, check_columns, views_of
from tests.store.made_tables import CLASSES, VOTE_COLUMNS, assert_equal, columns

ROWS = columns(range(9))


def test_arrays_and_back() -> None:
    assert len(ROWS) == 9
    assert_equal(Columns.of(ROWS.arrays()), ROWS)
    assert "votes" not in replace(ROWS, votes=None).arrays()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ROWS.id[:-1]),
        ("id", ROWS.id.astype(str)),
        ("label", ROWS.label.astype(np.int64)),
        ("label", ROWS.label[:, None]),
        ("votes", ROWS.votes[:-1]),
        ("votes", ROWS.votes.astype(np.float32)),
        ("pixel_sha256", ROWS.pixel_sha256[:, :31]),
        ("features", {"clean": ROWS.features["clean"][0]}),
        ("features", {"clean": ROWS.features["clean"].astype(np.float64)}),
    ],
)
def test_refuses_columns_that_do_not_fit(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"has shape|has 31 columns"):
        replace(ROWS, **{name: value})


@pytest.mark.parametrize("name", ["id", "label", "file_sha256"])
def test_names_the_missing_column(name: str) -> None:
    arrays = ROWS.arrays()
    del arrays[name]
    with pytest.raises(ValueError, match=name):
        Columns.of(arrays)


def test_labels_have_classes_and_votes_have_names() -> None:
    check_columns(ROWS, CLASSES, VOTE_COLUMNS)
    check_columns(replace(ROWS, votes=None), CLASSES, ())
    with pytest.raises(ValueError, match="not one of the 2 classes"):
        check_columns(ROWS, CLASSES[:2], VOTE_COLUMNS)
    with pytest.raises(ValueError, match="is not one of the 3 classes"):
        check_columns(replace(ROWS, label=ROWS.label - np.int16(1)), CLASSES, VOTE_COLUMNS)
    with pytest.raises(ValueError, match="2 columns of votes, and 0 names"):
        check_columns(ROWS, CLASSES, ())


def test_the_clean_view_comes_first() -> None:
    assert views_of({"features/b": 0, "features/clean": 0, "label": 0, "features/a": 0}) == ("clean", "a", "b")
