"""Lists with columns too many, too few or swapped: no known list is read wrong without a word."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache import registry
from fercache.errors import UsageError
from tests.datasets.miniatures import MINIATURES

QUIET = settings(max_examples=15, deadline=None)

LISTS = {
    "rafdb official": ("EmoLabel/list_patition_label.txt", " "),
    "rafdb kaggle-lists": ("train_labels.csv", ","),
    "affectnet lists": ("Manually_Annotated_file_lists/training.csv", ","),
    "ferplus folders": ("FER2013Train/label.csv", ","),
    "ferplus pixel-rows": ("fer2013new.csv", ","),
    "fer2013 csv": ("fer2013.csv", ","),
}
"""Dataset and variant -> the list, and what separates its cells."""

Change = Callable[[list[str], int], list[str]]
Refused = Callable[[int, int, Change], None]


@pytest.fixture(scope="module", params=LISTS)
def refused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """Reads a miniature whose list is changed from a line on, as a tool would do; fails if that is not refused."""
    (family, variant), (file, separator) = request.param.split(), LISTS[request.param]
    root = MINIATURES[family][variant](tmp_path_factory.mktemp("set")).root
    path = root / file
    original = path.read_text(encoding="utf-8").split("\n")
    rows = [number for number, line in enumerate(original) if separator in line]

    def check(line: int, place: int, change: Change) -> None:
        lines = [each.split(separator) for each in original]
        for number in rows[line % len(rows) :]:
            lines[number] = change(lines[number], place % len(lines[number]))
        path.write_text("\n".join(separator.join(cells) for cells in lines), encoding="utf-8")
        with pytest.raises(UsageError):
            list(registry.load("datasets", family).faces(root))

    return check


@QUIET
@given(line=st.integers(1, 4), place=st.integers(0, 12), cell=st.sampled_from(["1", "0", "4", "x"]))
def test_a_column_too_many_is_refused(refused: Refused, line: int, place: int, cell: str) -> None:
    refused(line, place, lambda cells, place: [*cells[: place + 1], cell, *cells[place + 1 :]])


@QUIET
@given(line=st.integers(1, 4), place=st.integers(0, 12))
def test_a_column_too_few_is_refused(refused: Refused, line: int, place: int) -> None:
    refused(line, place, lambda cells, place: cells[:place] + cells[place + 1 :])
