import shlex
from itertools import pairwise
from typing import Any

import pytest

from fercache import registry
from fercache.options.train import TrainRequest
from fercache.reporting.commands import _command, collapsed, commands
from fercache.reporting.report import ReportRequest
from tests.fake_records import SKILL, corrupted_records, demo_records, fake_record

BLUR = [f"ferplus+blur:{severity}@test" for severity in range(1, 6)]


def test_thirty_corrupted_targets_are_one_line_each() -> None:
    corrupted = list(corrupted_records(seeds=1))
    lines = commands([fake_record(head, target="ferplus") for head in SKILL] + corrupted, "trial")
    assert [line for line in lines if "extract" in line] == [
        "fercache extract --dataset synthetic:studio --encoder bundled",
        "fercache extract --dataset ferplus --encoder bundled",
        "fercache extract --dataset ferplus+all@test --encoder bundled",
    ]
    assert [line for line in lines if "evaluate" in line] == [
        "fercache evaluate --target ferplus@test",
        "fercache evaluate --target ferplus+all@test",
    ]
    assert lines[-1].startswith("fercache compare --name trial --selection source-val")


def test_each_encoder_extracts_what_it_was_scored_on() -> None:
    records = [*corrupted_records(seeds=1), fake_record(target="ferplus+blur:1", encoder="ViT-B-32/openai")]
    extracts = [line for line in commands(records, "trial") if "extract --dataset ferplus" in line]
    assert extracts == [
        "fercache extract --dataset ferplus+all@test --encoder bundled",
        "fercache extract --dataset ferplus+blur:1@test --encoder ViT-B-32/openai",
    ]


def test_a_whole_corruption_is_written_without_severities() -> None:
    assert collapsed(["ferplus@test", *BLUR, "ferplus+jpeg:1@test"]) == [
        "ferplus@test",
        "ferplus+blur@test",
        "ferplus+jpeg:1@test",
    ]


def test_what_is_not_all_there_is_not_collapsed() -> None:
    assert collapsed(BLUR[:4]) == BLUR[:4]
    other_split = [*BLUR[:4], "ferplus+blur:5@validation"]
    assert collapsed(other_split) == other_split


def test_other_names_stay_and_stand_once() -> None:
    assert collapsed(["synthetic:night", "ferplus", "synthetic:night"]) == ["synthetic:night", "ferplus"]


@pytest.mark.parametrize("head", ["sigmoid-mask", "text-similarity", "masked-text", "tip-adapter-f", "knn"])
@pytest.mark.parametrize("given", [{}, {"trunk": "resnet18", "trunk_options": {"drop_rate": 0.1, "act_layer": "gelu"}}])
def test_a_written_train_command_is_read_back_as_the_same_settings(head: str, given: dict[str, Any]) -> None:
    plugin = registry.load("heads", head)
    chosen = plugin.Settings.model_validate({k: v for k, v in given.items() if k in plugin.Settings.model_fields})
    words = shlex.split(_command("train", {"head": head}, chosen.model_dump(mode="json")))
    pairs = tuple(word for before, word in pairwise(words) if before == "--set")
    assert plugin.Settings.model_validate(TrainRequest(set=pairs).set) == chosen


def test_the_runs_of_a_target_are_named_where_it_is_not_all_of_them() -> None:
    """As of a leave-one-out: each run is scored on what it was not given, and `evaluate` alone scores everything."""
    pairs = {"ferplus": "rafdb & sfew", "rafdb": "ferplus & sfew"}
    records = [fake_record("linear-probe", seed, target, source=pairs[target]) for target in pairs for seed in (0, 1)]
    keys = {target: sorted(r.keys["run"][:8] for r in records if r.target == target) for target in pairs}
    assert [line for line in commands(records, "trial") if "evaluate" in line] == [
        f"fercache evaluate --target {target}@test --run {one} --run {other}" for target, (one, other) in keys.items()
    ]


def test_what_the_page_was_asked_for_stands_in_its_command() -> None:
    every = list(demo_records(seeds=1))
    some = [record for record in every if record.selection != "oracle"]
    assert commands(every, "trial", ReportRequest(about="Ours & theirs", published=("cafe:1", "exp-clip")))[-1] == (
        "fercache compare --name trial --about 'Ours & theirs' --published cafe:1,exp-clip"
        " --selection source-val --selection last --selection oracle"
    )
    assert commands(some, "trial", ReportRequest(baseline="zero-shot", thumbnails=True))[-1] == (
        "fercache compare --name trial --baseline zero-shot --selection source-val --selection last --thumbnails"
    )


def test_what_was_only_imported_is_extracted_for_its_labels() -> None:
    options = {"import-predictions": {"file": "net.csv", "model": "net", "target": "ferplus@test", "source": "rafdb"}}
    record = fake_record(target="ferplus", source="rafdb", encoder="imported", options=options)
    assert commands([record], "trial") == [
        "fercache extract --dataset ferplus",
        "fercache import-predictions net.csv --model net --target ferplus@test --source rafdb",
        "fercache compare --name trial",
    ]
