from fercache.reporting.commands import collapsed, commands
from tests.fake_records import corrupted_records, fake_record

BLUR = [f"ferplus+blur:{severity}@test" for severity in range(1, 6)]


def test_thirty_corrupted_targets_are_one_line_each() -> None:
    records = [fake_record(target="ferplus"), *corrupted_records(seeds=1)]
    lines = commands(records, "trial")
    assert [line for line in lines if "extract" in line] == [
        "fercache extract --dataset synthetic:studio --encoder bundled",
        "fercache extract --dataset ferplus --encoder bundled",
        "fercache extract --dataset ferplus+all@test --encoder bundled",
    ]
    assert [line for line in lines if "evaluate" in line] == [
        "fercache evaluate --target ferplus@test",
        "fercache evaluate --target ferplus+all@test",
    ]
    assert lines[-1] == "fercache compare --name trial"


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
