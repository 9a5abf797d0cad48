"""Which faces are scored: by the default split, and with and without those that the source's train split has."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.errors import UsageError
from fercache.identity import file_hash
from fercache.loading.runs import load_run
from fercache.options.evaluate import EvaluateRequest
from fercache.records import DUPLICATE, Record, read_record
from fercache.scoring.selection import POLICIES
from fercache.stages import evaluate as evaluate_stage
from fercache.stages import train as train_stage
from fercache.stages.compare import compare
from fercache.stages.evaluate import evaluate
from fercache.stages.train import TrainRequest, train
from tests.audits.planted import PLANTED, draw_folder, extracted, face
from tests.datasets.miniatures.ckplus import official
from tests.pixel_encoder import PixelEncoder

pytestmark = pytest.mark.usefixtures("pixel_encoder")

WITHOUT_SHIFTED = [policy for policy in POLICIES if policy != "source-shifted"]


def trained(settings: Settings, source: str, **more: Any) -> str:
    (folder,) = train(settings, TrainRequest(source=source, heads=("linear-probe",), seeds=(0,), device="cpu", **more))
    return folder.name


def evaluated(settings: Settings, *targets: str, exclude: bool = False, **more: Any) -> list[Record]:
    request = EvaluateRequest(targets=targets, device="cpu", exclude_duplicates=exclude, **more)
    return [read_record(path) for path in evaluate(settings, request)]


def test_scores_with_and_without_duplicates_are_both_kept(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "with contempt"
    shutil.copytree(planted_folder, root)
    (root / "test/contempt").mkdir()
    face(9000, "anger").save(root / "test/contempt/9000.png")
    extracted(settings, "folder:mine", root)
    trained(settings, "folder:mine")
    records = evaluated(settings, "folder:mine", exclude=True)
    assert [(r.selection, r.without_duplicates) for r in records] == [
        (policy, unique) for unique in (False, True) for policy in WITHOUT_SHIFTED
    ]
    for record in records:
        left_out = len(PLANTED) if record.without_duplicates else 0
        assert record.target_split == "test"
        assert record.kept == record.scores["main"].n == 74 - left_out
        assert record.duplicates == (None if record.without_duplicates else len(PLANTED))
        assert record.dropped == {"contempt": 1} | ({DUPLICATE: left_out} if left_out else {})
    assert evaluated(settings, "folder:mine", exclude=True) == []
    assert evaluated(settings, "folder:mine") == []


def test_scores_without_duplicates_can_be_added_later(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    trained(settings, "folder:mine")
    assert not any(record.without_duplicates for record in evaluated(settings, "folder:mine"))
    later = evaluated(settings, "folder:mine", exclude=True)
    assert sum(record.without_duplicates for record in later) == len(WITHOUT_SHIFTED)
    assert evaluated(settings, "folder:mine", exclude=True) == []


def test_without_any_duplicate_or_with_nothing_else_there_is_one_score(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    train_alone = tmp_path / "copied"
    shutil.copytree(planted_folder / "train", train_alone)
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:copied", train_alone)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 4}))
    trained(settings, "folder:mine")
    targets = ("folder:copied", "folder:other")
    records = evaluated(settings, *targets, exclude=True)
    assert not any(record.without_duplicates for record in records)
    found = {(record.target, record.duplicates == record.kept, record.duplicates == 0) for record in records}
    assert found == {("folder:copied", True, False), ("folder:other", False, True)}
    assert evaluated(settings, *targets, exclude=True) == []


def test_a_command_reads_a_table_once_and_builds_a_run_once(
    settings: Settings, planted_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *rest: calls.append(path) or call(path, *rest)

    for stage, name in ((evaluate_stage, "read_table"), (evaluate_stage, "load_run"), (train_stage, "read_table")):
        monkeypatch.setattr(stage, name, noted(getattr(stage, name)))
    tables = [extracted(settings, f"folder:{name}", planted_folder) for name in ("mine", "other")]
    run = trained(settings, "folder:mine")
    assert calls == tables[:1]
    calls.clear()
    assert evaluated(settings, "folder:mine", "folder:other", exclude=True)
    assert sorted(calls) == sorted([*tables, settings.cache / "runs" / run])
    calls.clear()
    assert evaluated(settings, "folder:mine", "folder:other", exclude=True) == calls == []


def test_a_corrupted_target_has_the_duplicates_of_the_clean_one(settings: Settings, planted_folder: Path) -> None:
    """In the corrupted images themselves some are not found."""
    extracted(settings, "folder:mine", planted_folder)
    clean = extracted(settings, "folder:other", planted_folder)
    extracted(settings, "folder:other+noise:5", planted_folder)
    trained(settings, "folder:mine")
    scored = evaluated(settings, "folder:other@test", "folder:other+noise:5", exclude=True)
    assert {(r.target, r.dropped[DUPLICATE]) for r in scored if r.without_duplicates} == {
        ("folder:other", len(PLANTED)),
        ("folder:other+noise:5", len(PLANTED)),
    }
    clean.unlink()
    with pytest.raises(UsageError, match="Run: fercache extract --dataset folder:other"):
        evaluated(settings, "folder:other+noise:5", exclude=True, again=True)


def test_scores_without_duplicates_do_not_outlive_what_they_are_about(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "other"
    shutil.copytree(planted_folder / "train" / "fear", root / "fear")
    shutil.copytree(planted_folder / "test" / "anger", root / "anger")
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", root)
    run = trained(settings, "folder:mine")
    assert any(record.without_duplicates for record in evaluated(settings, "folder:other", exclude=True))
    shutil.rmtree(root / "fear")
    extracted(settings, "folder:other", root)
    evaluated(settings, "folder:other")
    assert not list((settings.cache / "runs" / run / "records").glob("*.unique.*"))


def test_corrupted_faces_that_the_run_was_trained_on_are_no_target(settings: Settings, planted_folder: Path) -> None:
    extract(
        settings,
        ExtractRequest(dataset="folder:mine+blur:2@train", root=planted_folder, encoder=EncoderRequest(name="pixels")),
    )
    extracted(settings, "folder:mine", planted_folder)
    trained(settings, "folder:mine")
    with pytest.raises(UsageError, match="trained on"):
        evaluated(settings, "folder:mine+blur:2@train")


def test_without_the_source_table_duplicates_cannot_be_seen(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    table = extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 2}))
    trained(settings, "folder:mine")
    table.unlink()
    with pytest.raises(UsageError, match=r"no longer in the cache.*Run: fercache extract --dataset folder:mine"):
        evaluated(settings, "folder:other", exclude=True)
    assert {record.kept for record in evaluated(settings, "folder:other")} == {14}


def test_the_score_of_one_split_does_not_count_for_another(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "a", 0, {"train": 6, "validation": 2, "test": 3}))
    trained(settings, "folder:mine")
    assert {record.kept for record in evaluated(settings, "folder:mine@validation")} == {14}
    assert {record.kept for record in evaluated(settings, "folder:mine")} == {21}
    assert evaluated(settings) == []


def test_a_dataset_without_published_splits_is_scored_whole_unless_it_is_the_source(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    truth = official(tmp_path / "ck").truth
    extracted(settings, "ckplus", tmp_path / "ck")
    extracted(settings, "folder:mine", planted_folder)
    foreign, own = trained(settings, "folder:mine"), trained(settings, "ckplus", keep_validation_copies=True)
    assert evaluated(settings, "ckplus@test", runs=(foreign,))[0].target_split == "test"
    (whole, *_) = evaluated(settings, "ckplus", runs=(foreign,))
    assert whole.target_split == "all"
    assert whole.kept == sum(label != "contempt" for label in truth.values())
    (part, *_) = evaluated(settings, "ckplus", runs=(own,))
    assert part.target_split == "test"
    assert 0 < part.kept < whole.kept
    assert evaluated(settings, "ckplus") == []


def test_faces_that_the_run_was_trained_on_are_no_target(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "faces", per_class={"train": 6}))
    trained(settings, "folder:mine")
    with pytest.raises(UsageError, match="trained on"):
        evaluated(settings, "folder:mine")


def test_a_run_that_was_trained_on_a_target_is_left_out_of_it_and_others_are_scored(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that one command scores every run on every target, as the foot of a report has it."""
    for name in ("mine", "other"):
        extracted(settings, f"folder:{name}", draw_folder(tmp_path / name, per_class={"train": 6}))
        trained(settings, f"folder:{name}@train")
    assert {record.source for record in evaluated(settings, "folder:mine@train")} == {"folder:other"}
    assert "skipped: The run was trained on folder:mine@train" in capsys.readouterr().err
    assert evaluated(settings, "folder:mine@train") == []


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory: pytest.TempPathFactory, planted_folder: Path) -> Iterator[Settings]:
    """Three runs, one of them with records."""
    folder = tmp_path_factory.mktemp("three")
    settings = Settings(cache=folder / "cache", reports=folder / "reports")
    with pytest.MonkeyPatch.context() as patch:
        others = registry.encoder_family
        patch.setattr(registry, "encoder_family", lambda name: PixelEncoder if name == "pixels" else others(name))
        extracted(settings, "folder:mine", planted_folder)
        train(
            settings,
            TrainRequest(source="folder:mine", heads=("class-mean", "knn", "linear-probe"), seeds=(0,), device="cpu"),
        )
        evaluated(settings, runs=(run_of(settings, "class-mean").name,))
        yield settings


@pytest.fixture
def three(tmp_path: Path, three_runs: Settings) -> Settings:
    shutil.copytree(three_runs.cache, tmp_path / "cache")
    return Settings(cache=tmp_path / "cache", reports=tmp_path / "reports")


def run_of(settings: Settings, head: str) -> Path:
    (folder,) = (settings.cache / "runs").glob(f"*-{head}-*")
    return folder


def sealed_again(folder: Path) -> None:
    """As if training had written the existing files."""
    done = json.loads((folder / "done").read_text())
    done["sha256"] = {name: file_hash(folder / name) for name in done["sha256"]}
    (folder / "done").write_text(json.dumps(done))


def with_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    sealed_again(folder)


def flip_a_weight(folder: Path) -> None:
    weights = folder / "head.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)


def cut_history(folder: Path) -> None:
    (folder / "history.csv").write_text("epoch\n1\n")
    sealed_again(folder)


def rename_tensors(folder: Path) -> None:
    weights = folder / "head.safetensors"
    with safe_open(weights, "numpy") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file({f"{name}s": tensor for name, tensor in tensors.items()}, weights, about)
    sealed_again(folder)


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an unknown head": (partial(with_config, head="somebodys"), "unknown head 'somebodys'"),
    "a changed weight": (flip_a_weight, r"head\.safetensors has changed since training wrote it: expected SHA-256"),
    "a changed setting": (lambda f: (f / "config.json").write_text("{}"), r"config\.json has changed"),
    "a longer history": (lambda f: (f / "history.csv").open("a").write(" "), r"history\.csv has changed"),
    "a cut history": (
        lambda f: [(f / "history.csv").write_text("epoch\n1\n"), sealed_again(f)],
        r"history\.csv names no 'snapshot'",
    ),
    "another run's folder": (partial(with_config, name="another"), "holds the run another"),
    "a schema of text": (partial(with_config, schema_version="2"), r"config\.json: schema_version"),
    "a schema of null": (partial(with_config, schema_version=None), r"config\.json: schema_version"),
    "a newer schema": (partial(with_config, schema_version=2), "newer fercache"),
    "foreign settings": (partial(with_config, settings={"lr": 1}), r"config\.json: settings\.lr"),
    "no request": (partial(with_config, encoder_request={}), r"config\.json: encoder_request"),
    "another dimension": (partial(with_config, dimension=3), r"snapshot .* does not fit config\.json"),
    "no dimension": (partial(with_config, dimension=-1), r"config\.json: dimension"),
    "a huge dimension": (partial(with_config, dimension=10**12), r"config\.json: dimension"),
    "unknown expressions": (partial(with_config, expressions=["joy"]), r"config\.json: expressions"),
    "renamed tensors": (rename_tensors, r"snapshot .* does not fit config\.json"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_run_with_wrong_content_is_refused(three_runs: Settings, tmp_path: Path, kind: str) -> None:
    damage, reason = BROKEN[kind]
    whole = run_of(three_runs, "linear-probe")
    broken = shutil.copytree(whole, tmp_path / whole.name)
    damage(broken)
    with pytest.raises(UsageError, match=reason) as caught:
        loaded = load_run(broken, "cpu")
        loaded.load_snapshot(loaded.snapshots[0])
    assert str(broken) in str(caught.value)


def test_runs_that_cannot_be_scored_are_skipped_by_name(three: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {head: run_of(three, head) for head in ("class-mean", "linear-probe")}
    with_config(broken["class-mean"], head="somebodys")
    flip_a_weight(broken["linear-probe"])
    assert {record.head for record in evaluated(three)} == {"knn"}
    printed = capsys.readouterr().err
    for head, reason in (("class-mean", "unknown head"), ("linear-probe", "head.safetensors has changed")):
        assert re.search(f"skipped: the run {broken[head].name}: .*{broken[head]}.*{reason}", printed), printed
        with pytest.raises(UsageError, match=reason):
            evaluated(three, runs=(broken[head].name,))
    assert {record.head for record in compare(three)[1]} == {"class-mean", "knn"}


def test_a_damaged_record_is_written_again_and_a_newer_one_is_left_alone(
    three: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, newer = (run_of(three, head) / "records/folder-mine@test.last.json" for head in ("class-mean", "knn"))
    evaluated(three)
    damaged.write_text("{")
    newer.write_text(newer.read_text().replace('"schema": 5', '"schema": 99'))
    _, shown = compare(three)
    printed = capsys.readouterr().err
    assert (
        f"left out: The record {damaged} is damaged" in printed
        and f"left out: The record {newer} has schema" in printed
    )
    assert len(shown) == 3 * len(WITHOUT_SHIFTED) - 2
    assert {record.head for record in evaluated(three)} == {"class-mean"}
    assert read_record(damaged).selection == "last" and '"schema": 99' in newer.read_text()


def test_records_of_an_unfinished_run_are_left_out_and_the_others_compared(
    three: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(three)
    (run_of(three, "knn") / "done").unlink()
    _, shown = compare(three)
    assert {record.head for record in shown} == {"class-mean", "linear-probe"}
    assert "has records, but the run is not finished" in capsys.readouterr().err


def test_what_a_killed_training_left_is_removed_by_the_next(three: Settings) -> None:
    (three.cache / "runs" / "a-run.999999999-0a1b2c3d.tmp").mkdir()
    train(three, TrainRequest(source="folder:mine", heads=("knn",), seeds=(0,), device="cpu"))
    assert not list((three.cache / "runs").glob("*.tmp"))
