from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.records import Record, frame
from fercache.reporting import extras as extras_module
from fercache.reporting.boards import boards
from fercache.reporting.extras import Extras, find_extras
from fercache.reporting.maps import FeatureMap, Map
from fercache.reporting.page import ReportRequest, write_report
from tests.fake_records import fake_record
from tests.reporting.fake_predictions import readings, scored_record
from tests.reporting.test_figures import gap

TARGETS = ("synthetic:studio", "synthetic:webcam")


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    skills = {"zero-shot": 0.5, "linear-probe": 0.8}
    return [
        scored_record(tmp_path, readings(number, skills[head]), head=head, target=target, method_key=head)
        for head in skills
        for number, target in enumerate(TARGETS)
    ]


def extras_of(records: list[Record], cache: Path | None, baseline: str | None = None) -> Extras:
    return find_extras(records, boards(frame(records)), cache, None, baseline)


def test_predictions_give_errors_and_with_a_baseline_differences(records: list[Record], tmp_path: Path) -> None:
    found = extras_of(records, tmp_path, "zero-shot")
    (of_board,) = found.errors.values()
    assert set(of_board) == set(TARGETS) and all(of_board.values())
    (compared,) = found.differences
    assert compared.baseline.head == "zero-shot" and len(compared.differences) == 4
    assert "linear-probe" in (found.files["differences.csv"] or "")
    (ranked,) = found.ranks
    assert len(ranked.rows) == 2 and "linear-probe" in (found.files["ranks.csv"] or "")
    assert found.maps == [] and found.drawings == {}  # there are no features


def test_without_predictions_there_are_tables_alone(records: list[Record]) -> None:
    found = extras_of(records, None, "zero-shot")
    assert (found.errors, list(found.differences), list(found.ranks), list(found.maps)) == ({}, [], [], [])
    assert {name for name, text in found.files.items() if text} == {"table.md", "table.tex"}


def test_corrupted_targets_alone_have_no_tables() -> None:
    assert not any(extras_of([fake_record(target="ferplus+blur:1")], None).files.values())


def test_an_unknown_baseline_is_refused(records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zero-shoot"):
        extras_of(records, tmp_path, "zero-shoot")


def test_maps_are_figures_as_well(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (board,) = boards(frame(records))
    drawn = FeatureMap(board, board.headline[0].method, 0, 100, Map(gap(), "before"), Map(gap(), "after"))
    monkeypatch.setattr(extras_module, "feature_maps", lambda *_: [drawn])
    assert set(extras_of(records, tmp_path).drawings) == {
        "map-before-synthetic-studio",
        "map-after-synthetic-studio",
    }


def test_a_report_shows_them_all_and_loses_what_a_later_one_lacks(records: list[Record], tmp_path: Path) -> None:
    folder = tmp_path / "report"
    page = write_report(records, folder, tmp_path, ReportRequest(baseline="zero-shot")).read_text(encoding="utf-8")
    assert 'id="differences"' in page and "Most confident errors" in page
    assert "<code>differences.csv</code>" in page and (folder / "differences.csv").is_file()
    page = write_report(records, folder, tmp_path).read_text(encoding="utf-8")
    assert 'id="ranks"' in page and (folder / "ranks.csv").is_file()
    assert 'id="differences"' not in page and not (folder / "differences.csv").exists()
