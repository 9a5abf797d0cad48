"""A report is whole, or it is none: cut, changed or half-written files are seen."""

from pathlib import Path

import pytest

from fercache.reporting import page
from fercache.reporting.page import MADE, PAGE, made_before, records_key, write_report
from tests.fake_records import demo_records

RECORDS = [record for record in demo_records(1) if record.head in ("zero-shot", "linear-probe")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(RECORDS, folder)
    return folder


def test_every_file_is_vouched_for(written: Path) -> None:
    made = made_before(written)
    assert made is not None
    there = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert made.files.keys() == there - {MADE}


def test_a_file_that_is_cut_or_changed_makes_it_no_report(written: Path) -> None:
    made = made_before(written)
    assert made is not None
    for name in made.files:
        whole = (written / name).read_bytes()
        for wrong in (whole[: len(whole) // 2], whole[:-1] + b"x", b""):
            (written / name).write_bytes(wrong)
            assert made_before(written) is None, name
        (written / name).write_bytes(whole)
    assert made_before(written) == made


def test_a_report_that_was_ended_while_it_was_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(RECORDS, tmp_path)
    whole, before = page.write_text, (tmp_path / PAGE).read_bytes()

    def ended_at_the_page(path: Path, text: str) -> Path:
        if path.name == PAGE:
            raise KeyboardInterrupt
        return whole(path, text)

    monkeypatch.setattr(page, "write_text", ended_at_the_page)
    with pytest.raises(KeyboardInterrupt):
        write_report(RECORDS[:4], tmp_path)
    assert made_before(tmp_path) is None
    assert (tmp_path / PAGE).read_bytes() == before


def test_the_key_of_records_changes_with_any_of_their_numbers() -> None:
    assert records_key(RECORDS) == records_key(RECORDS[::-1])
    assert records_key(RECORDS) != records_key(RECORDS[1:])
    changed = RECORDS[0].model_copy(update={"seconds": 1.5})
    assert records_key(RECORDS) != records_key([changed, *RECORDS[1:]])
