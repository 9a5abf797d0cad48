"""What a run has seen of its targets, through the command line and in the records that it writes."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fercache import Settings
from fercache.loading import drift as drift_stage
from fercache.options.evaluate import EvaluateRequest
from fercache.records import Record, frame, read_record
from fercache.reporting.boards import Board, boards
from fercache.scoring.drift import drift
from fercache.stages.evaluate import evaluate
from fercache.stages.train import TrainRequest, train
from tests.audits.planted import PLANTED, draw_folder, extracted
from tests.command_line import Run
from tests.datasets.miniatures import fer2013, ferplus, mmafedb
from tests.pixel_encoder import PixelEncoder

pytestmark = pytest.mark.usefixtures("pixel_encoder")
SMALL = {"train": 6, "test": 3}


def trained(settings: Settings, source: str, head: str = "linear-probe") -> None:
    train(settings, TrainRequest(source=source, heads=(head,), seeds=(0,), device="cpu"))


def scored(settings: Settings, *targets: str, exclude: bool = False) -> dict[str, Record]:
    request = EvaluateRequest(targets=targets, device="cpu", again=True, exclude_duplicates=exclude)
    return {record.target_label: record for record in map(read_record, evaluate(settings, request))}


def board_of(records: dict[str, Record]) -> Board:
    (board,) = boards(frame(records.values()))
    return board


def seen(record: Record) -> list[tuple[str, str, str, int | None]]:
    return [(each.by, each.through, each.how, each.images) for each in record.seen]


def copied(folder: Path, name: str, root: Path, images: int) -> Path:
    """A folder of other faces, with some `images` of the `root`'s train split in its test split."""
    own = draw_folder(folder / name, 5000, {"test": 3})
    for number, path in enumerate(sorted((root / "train").glob("*/*.png"))[:images]):
        shutil.copy(path, own / "test" / path.parent.name / f"copy-{number}.png")
    return own


def test_folders_that_share_images_are_not_unseen_and_those_that_share_none_are(run: Run, tmp_path: Path) -> None:
    """End to end: `boards` of two folders with unrelated names."""
    mine = draw_folder(tmp_path / "mine", 0, SMALL)
    roots = {"mine": mine, "shares": copied(tmp_path, "shares", mine, 5), "alone": copied(tmp_path, "alone", mine, 0)}
    for name, root in roots.items():
        assert run("extract", "--dataset", f"folder:{name}", "--root", root, "--encoder", "pixels").code == 0
    assert run("train", "--source", "folder:mine", "--head", "linear-probe", "--seeds", "0").code == 0
    evaluated = run("evaluate")
    why = "5 of its 26 images are in folder:mine, which the head was trained on"
    assert f"folder:shares (not unseen: {why})" in evaluated.out and "folder:alone:" in evaluated.out
    compared = run("compare")
    assert "shares§" in compared.out and f"§ folder:shares: {why}" in " ".join(compared.out.split())
    summary, results = (pd.read_csv(f"reports/latest/{name}.csv") for name in ("summary", "results"))
    assert set(summary["seen"]) == {"folder:shares"}
    assert (summary["unseen accuracy"] == summary["folder:alone accuracy"]).all()
    assert set(results.loc[results["target"] == "folder:shares", "seen"]) == {why}
    assert results.loc[results["target"] == "folder:alone", "seen"].isna().all()
    for name in ("index.html", "table.md", "table.tex"):
        assert why in (Path("reports/latest") / name).read_text(encoding="utf-8"), name


def test_without_its_duplicates_a_target_is_unseen(settings: Settings, tmp_path: Path) -> None:
    mine = draw_folder(tmp_path / "mine")
    extracted(settings, "folder:mine", mine)
    extracted(settings, "folder:shares", copied(tmp_path, "shares", mine, 5))
    trained(settings, "folder:mine")
    records = scored(settings, "folder:shares", exclude=True)
    assert seen(records["folder:shares"]) == [("source", "folder:mine", "identical images", 5)]
    assert records["folder:shares without duplicates"].seen == ()
    assert board_of(records).counted == ("folder:shares without duplicates",)


def test_source_validation_has_been_seen_and_counts_as_a_duplicate(settings: Settings, tmp_path: Path) -> None:
    mine = draw_folder(tmp_path / "mine", 0, {"train": 6, "validation": 2, "test": 2})
    other = draw_folder(tmp_path / "other", 5000, {"test": 3})
    for path in (mine / "validation" / "anger").iterdir():
        shutil.copy(path, other / "test" / "anger")
    shutil.copy(next((mine / "test" / "fear").iterdir()), other / "test" / "fear")  # of what was never seen
    extracted(settings, "folder:mine", mine)
    extracted(settings, "folder:other", other)
    trained(settings, "folder:mine")
    records = scored(settings, "folder:other", "folder:mine@validation", exclude=True)
    assert seen(records["folder:other"]) == [("source", "folder:mine", "identical images", 2)]
    assert records["folder:other without duplicates"].kept == records["folder:other"].kept - 2
    assert seen(records["folder:mine@validation"]) == [("source", "folder:mine", "same set", 0)]


def test_of_the_source_itself_the_copies_are_counted(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    trained(settings, "folder:mine")
    records = scored(settings, "folder:mine")
    identical = [name for name in PLANTED if name.endswith(("same.png", "mislabelled.png"))]
    assert seen(records["folder:mine"]) == [("source", "folder:mine", "same set", len(identical))]
    assert board_of(records).own == ("folder:mine",) and not board_of(records).seen_by_head


def test_the_images_of_a_corrupted_target_are_those_that_it_was_made_of(settings: Settings, tmp_path: Path) -> None:
    mine = draw_folder(tmp_path / "mine", 0, SMALL)
    other = copied(tmp_path, "other", mine, 4)
    extracted(settings, "folder:mine", mine)
    clean = extracted(settings, "folder:other", other)
    extracted(settings, "folder:other+blur:2", other)
    trained(settings, "folder:mine")
    corrupted = scored(settings, "folder:other+blur:2")["folder:other+blur:2"]
    assert seen(corrupted) == [("source", "folder:mine", "identical images", 4)]
    clean.unlink()
    corrupted = scored(settings, "folder:other+blur:2")["folder:other+blur:2"]
    assert (corrupted.seen, corrupted.not_compared) == ((), ("folder:mine",))


def test_a_missing_source_is_reported_as_not_compared(settings: Settings, tmp_path: Path) -> None:
    mine = draw_folder(tmp_path / "mine", 0, SMALL)
    table = extracted(settings, "folder:mine", mine)
    extracted(settings, "folder:other", copied(tmp_path, "other", mine, 4))
    trained(settings, "folder:mine")
    table.unlink()
    (record,) = scored(settings, "folder:other").values()
    assert (record.seen, record.not_compared, record.drift) == ((), ("folder:mine",), None)


def test_the_drift_of_a_target_is_measured_once_for_all_runs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(drift_stage, "drift", lambda *features, seed: calls.append(seed) or drift(*features, seed=seed))
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", 0, {"train": 8, "test": 4}))
    dark = draw_folder(tmp_path / "dark", 5000, {"test": 4})
    for path in dark.glob("*/*/*.png"):
        Image.open(path).point(lambda value: value // 4).save(path)
    extracted(settings, "folder:dark", dark)
    for head in ("linear-probe", "knn"):
        trained(settings, "folder:mine", head)
    records = [read_record(path) for path in evaluate(settings, EvaluateRequest(device="cpu"))]
    assert len({record.run for record in records}) == 2 and len(calls) == 2
    found = {record.target: record.drift for record in records}
    mine, dark_ones = found["folder:mine"], found["folder:dark"]
    assert mine and dark_ones and mine.faces == dark_ones.faces == 28
    assert (dark_ones.frechet_floor, dark_ones.a_distance_floor) == (mine.frechet_floor, mine.a_distance_floor)
    assert dark_ones.frechet > 2 * mine.frechet and dark_ones.a_distance > mine.a_distance
    again = [read_record(path) for path in evaluate(settings, EvaluateRequest(device="cpu", again=True))]
    assert {record.target: record.drift for record in again} == found


def test_what_the_encoder_was_trained_on_is_looked_for_as_well(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PixelEncoder, "seen", ("folder:theirs@train", "folder:lost", "procedural:clay"))
    theirs = draw_folder(tmp_path / "theirs", 0, SMALL)
    extracted(settings, "folder:theirs", theirs)
    extracted(settings, "folder:other", copied(tmp_path, "other", theirs, 3))
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", 9000, SMALL))
    trained(settings, "folder:mine")
    records = scored(settings, "folder:other", "folder:theirs")
    assert seen(records["folder:other"]) == [("encoder", "folder:theirs@train", "identical images", 3)]
    assert seen(records["folder:theirs"]) == [("encoder", "folder:theirs@train", "same set", 0)]
    assert all(record.seen_by_encoder for record in records.values())
    assert {record.not_compared for record in records.values()} == {("folder:lost",)}


def small_ferplus(root: Path) -> Path:
    """FERPlus whose few training faces have the expressions of the others."""
    sad, surprised = ferplus.ballot(sadness=10), ferplus.ballot(surprise=10)
    votes = {"fer0000000.png": sad, "fer0000003.png": surprised, "fer0000006.png": sad}
    lines = [replace(line, votes=votes.get(line.name, line.votes)) for line in ferplus.FERPLUS]
    ferplus.write_list(root, lines)
    ferplus.write_pixel_rows(root, lines)
    return root


@pytest.fixture
def fer_records(settings: Settings, tmp_path: Path) -> Iterator[dict[str, Record]]:
    """A head trained on FERPlus, on FER2013 with the same images and MMAFEDB with others: miniatures of all three."""
    extracted(settings, "ferplus", small_ferplus(tmp_path / "ferplus"))
    extracted(settings, "fer2013", fer2013.VARIANTS["csv"](tmp_path / "fer2013").root)
    extracted(settings, "mmafedb", mmafedb.VARIANTS["itself"](tmp_path / "mmafedb").root)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 2}))
    trained(settings, "ferplus", "knn")
    yield scored(settings, "ferplus", "fer2013", "mmafedb", "folder:other")


def test_fer2013_and_mmafedb_are_not_unseen_to_a_head_trained_on_ferplus(fer_records: dict[str, Record]) -> None:
    board = board_of(fer_records)
    assert (board.own, board.seen, board.unseen) == (("ferplus",), ("fer2013", "mmafedb"), ("folder:other",))
    assert seen(fer_records["fer2013"]) == [("source", "ferplus", "same pictures", 2)]  # in source validation
    assert seen(fer_records["mmafedb"]) == [("source", "ferplus", "same pictures", 0)]
    (row,) = board.headline
    assert row.unseen_mean == row.cells["folder:other"]
    assert board.seen_notes == [
        "§ fer2013: 2 of its 2 images are in ferplus, which the head was trained on",
        "§ mmafedb: it has the photographs of ferplus, which the head was trained on (0 of its 9 images with identical "
        "pixels)",
    ]
