"""The settings in a row of a table, and those that the table shows once for all methods."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.csv_cells import csv_text
from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.records import IMPORTED, Record, frame
from fercache.reporting.boards import Board, boards
from fercache.reporting.export.csv_tables import summary
from fercache.reporting.export.latex import latex
from fercache.reporting.export.markdown import markdown
from fercache.reporting.export.paper_tables import kept_faces, paper_tables
from fercache.reporting.page import write_report
from fercache.reporting.predictions import Reader
from fercache.reporting.screen import screen_table
from fercache.reporting.sections.differences import differences
from tests.fake_records import SETTINGS, fake_record

HEADS = ("zero-shot", "linear-probe", "sigmoid-mask", "text-similarity")


def trained(
    head: str,
    seed: int = 0,
    options: dict[str, str] | None = None,
    extract: dict[str, str] | None = None,
    **changes: Any,
) -> Record:
    """A record as `evaluate` writes it: `options` are those of `train`, beside the policy."""
    train = {"source": "synthetic:studio", "policy": "majority", **(options or {})}
    given = {"options": {"extract": extract or {}, "train": train}, **changes}
    key = key_of({"head": head, "given": {name: str(value) for name, value in sorted(given.items())}})
    return fake_record(head, seed, method_key=key, run=f"{head}-{seed}-{key[:8]}", **given)


def board_of(*records: Record) -> Board:
    (board,) = boards(frame(records))
    return board


def details(board: Board) -> list[str]:
    """Of the main readouts, without their trunks."""
    rows = [row.method for row in board.headline if row.method.readout == "main"]
    return [f"{method.head} {method.changed_text}".strip() for method in rows]


def with_settings(head: str, **changes: Any) -> dict[str, Any]:
    """A head's usual settings with some that are not its own, as `evaluate` marks them."""
    return {"settings": SETTINGS[head] | changes, "not_default": tuple(changes)}


def test_an_option_that_differs_is_named_in_every_row_with_the_name_of_its_default() -> None:
    board = board_of(trained("linear-probe"), trained("sigmoid-mask", options={"faces": "8000"}))
    assert details(board) == ["linear-probe faces=all", "sigmoid-mask faces=8000"]
    assert board.common_text == ""


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"faces": "8000"}, ["faces=all", "faces=8000"]),
        ({"policy": "soft"}, ["policy=majority", "policy=soft"]),
        ({"classes": "8"}, ["classes=7", "classes=8"]),
        ({"labels": "label.csv"}, ["labels=default", "labels=label.csv"]),
        ({"prompts": "ke2nt"}, ["prompts=faces", "prompts=ke2nt"]),
        ({"prompts": "mine.toml"}, ["prompts=faces", "prompts=mine.toml"]),
        ({"source": "synthetic:studio@validation"}, ["", "source=synthetic:studio@validation"]),
    ],
)
def test_each_option_of_training_is_named_plainly(option: dict[str, str], expected: list[str]) -> None:
    usual = {"prompts": "faces"} if "prompts" in option else {}
    board = board_of(trained("linear-probe", options=usual), trained("linear-probe", options=option))
    assert sorted(details(board)) == sorted(f"linear-probe {text}".strip() for text in expected)


def test_stored_views_and_weights_are_named() -> None:
    made = with_settings("sigmoid-mask", recipe="cafe", trunk_weights="/somewhere/resnet18_msceleb.pth")
    extract = {"views": "4", "recipe": "cafe"}
    board = board_of(trained("sigmoid-mask"), trained("sigmoid-mask", extract=extract, **made))
    augmented, plain = sorted(details(board))
    assert plain == "sigmoid-mask recipe=default, trunk_weights=default"
    assert augmented == "sigmoid-mask recipe=cafe, trunk_weights=resnet18_msceleb.pth, views=4"


def test_what_all_methods_share_and_is_not_the_default_is_said_once() -> None:
    some = {"faces": "8000", "policy": "soft"}
    records = [trained(head, seed, some) for head in HEADS for seed in range(2)]
    board = board_of(*records)
    assert details(board) == list(HEADS)
    assert board.common_text == "policy=soft, faces=8000"
    shared = "Shared by all methods that have them: policy=soft, faces=8000."
    (paper, _) = paper_tables([board], kept_faces(records))
    assert screen_table(frame(records)).splitlines()[1] == shared
    assert paper.caption.endswith(shared) and shared in markdown([paper]) and shared in latex([paper])
    assert set(summary(frame(records))["common_settings"]) == {"policy=soft, faces=8000"}


def test_the_page_says_what_all_methods_share(tmp_path: Path) -> None:
    targets = ("synthetic:webcam", "synthetic:webcam+blur:1")
    records = [trained("linear-probe", options={"faces": "8000"}, target=target) for target in targets]
    records = [record.model_copy(update={"method_key": "a" * 64, "run": "one"}) for record in records]
    page = write_report(records, tmp_path / "report").read_text(encoding="utf-8")
    assert page.count("Shared by all methods that have them: faces=8000.") == 2  # of the scores and of robustness


def test_a_common_setting_is_about_the_heads_that_have_it() -> None:
    fewer = [trained(head, **with_settings(head, epochs=5)) for head in ("sigmoid-mask", "text-similarity")]
    board = board_of(trained("zero-shot"), *fewer)
    assert details(board) == ["zero-shot", "sigmoid-mask", "text-similarity"]
    assert board.common_text == "epochs=5"
    assert [row.method.common for row in board.headline if row.method.head == "zero-shot"] == [()]


def test_a_setting_of_a_single_head_that_is_not_its_default_is_in_its_row() -> None:
    board = board_of(trained("zero-shot"), trained("sigmoid-mask", **with_settings("sigmoid-mask", mask="linear")))
    assert details(board) == ["zero-shot", "sigmoid-mask mask=linear"]


def test_defaults_of_different_heads_are_not_named() -> None:
    assert details(board_of(*(trained(head) for head in HEADS))) == list(HEADS)


def test_imported_predictions_say_nothing_of_training() -> None:
    ours = trained("sigmoid-mask", options={"faces": "8000"})
    files = {
        seed: {"import-predictions": {"file": f"{seed}.csv", "policy": "majority", "seed": str(seed)}}
        for seed in (0, 1)
    }
    imported = [
        fake_record("linear-probe", seed, encoder=IMPORTED, encoder_key="", settings={}, options=files[seed])
        for seed in files
    ]
    board = board_of(ours, *imported)
    assert details(board) == ["linear-probe", "sigmoid-mask"]
    assert board.common_text == "faces=8000"


def test_methods_asked_for_alike_are_distinguished_by_data_and_code_before_keys() -> None:
    def made(key: str, **changes: Any) -> Record:
        return fake_record(method_key=key * 64, **changes)

    tables = [made(key, keys={"run": key, "source": key * 64, "target": ""}) for key in "ab"]
    assert details(board_of(*tables)) == ["linear-probe source table=aaaaaaaa", "linear-probe source table=bbbbbbbb"]
    code = [made(key, versions={"fercache": version, "torch": "2"}) for key, version in zip("ab", "12", strict=True)]
    assert details(board_of(*code)) == ["linear-probe fercache=1", "linear-probe fercache=2"]
    assert details(board_of(made("a"), made("b"))) == ["linear-probe key=aaaaaaaa", "linear-probe key=bbbbbbbb"]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 40), st.sampled_from([0.1, 1e-3, 5.0, "soft", "7", "all"]))
VALUES = st.one_of(SCALARS, st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.just("a"), st.integers(0, 2)))
NAMES = st.sampled_from(["rate", "epochs", "recipe", "crops", "policy", "variant"])
TEXTS = st.sampled_from(["majority", "soft", "7", "8", "all", "8000", "faces", "ke2nt", "default", "x.csv", "cafe"])
OPTIONS = st.sampled_from(["policy", "classes", "labels", "faces", "prompts", "views", "recipe", "crops", "precision"])
DESCRIBED = st.fixed_dictionaries(
    {
        "settings": st.dictionaries(NAMES, VALUES, max_size=3),
        "train": st.dictionaries(OPTIONS, TEXTS, max_size=3),
        "extract": st.dictionaries(OPTIONS, TEXTS, max_size=2),
        "not_default": st.lists(NAMES, unique=True, max_size=2),
        "head": st.sampled_from(HEADS),
    }
)


cached_record = cache(fake_record)


def record_of(described: dict[str, Any], seed: int) -> Record:
    options = {"train": described["train"], "extract": described["extract"]}
    key = key_of(described)
    changes = {
        "settings": described["settings"],
        "options": options,
        "not_default": tuple(name for name in described["not_default"] if name in described["settings"]),
        "method_key": key,
        "run": f"run-{seed}-{key[:8]}",
    }
    return cached_record(described["head"], seed).model_copy(update=changes)


@given(st.lists(DESCRIBED, min_size=1, max_size=5), st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_two_methods_are_called_alike_and_seeds_of_one_are(found: list[dict[str, Any]], data: st.DataObject) -> None:
    """However they differ: the last of them is another one with a single setting or option changed."""
    where = data.draw(st.sampled_from(["settings", "train", "extract"]))
    name = data.draw(NAMES if where == "settings" else OPTIONS)
    twin = {**found[0], where: {**found[0][where], name: data.draw(VALUES if where == "settings" else TEXTS)}}
    methods = {key_of(each): each for each in [*found, twin]}
    board = board_of(*(record_of(each, seed) for each in methods.values() for seed in (0, 1)))
    rows = [row for row in board.headline if row.method.readout == "main"]
    assert len({str(row.method) for row in rows}) == len(rows) == len(methods)
    assert {row.seeds for row in rows} == {(0, 1)}


def keyed(**keys: str) -> dict[str, Any]:
    return {"keys": {"run": "0" * 64, "target": "0" * 64, **keys}}


def encoders(*records: Record) -> list[str]:
    return sorted(board.encoder for board in boards(frame(records)))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"extract": {"weights": "/a/one"}}, {"extract": {"weights": "/b/two"}}, ("weights one", "weights two")),
        ({}, {"extract": {"preprocessing": "imagenet-224"}}, ("preprocessing default", "preprocessing imagenet-224")),
        (keyed(weights="a" * 64), keyed(weights="b" * 64), ("weights aaaaaaaa", "weights bbbbbbbb")),
        (keyed(kernels="pillow"), keyed(kernels="pytorch"), ("kernels pillow", "kernels pytorch")),
        ({"versions": {"timm": "1.0"}}, {"versions": {"timm": "1.1"}}, ("timm 1.0", "timm 1.1")),
        ({}, {}, ("key eeeeeeee", "key ffffffff")),
    ],
)
def test_encoders_of_one_name_are_named_by_what_differs(
    first: dict[str, Any], second: dict[str, Any], expected: tuple[str, str], tmp_path: Path
) -> None:
    records = [trained("linear-probe", encoder_key=key * 64, **more) for key, more in (("e", first), ("f", second))]
    names = [f"bundled ({text})" for text in expected]
    assert encoders(*records) == names
    assert encoders(records[0]) == ["bundled"]
    page = write_report(records, tmp_path / "report").read_text(encoding="utf-8")
    for text in (page, screen_table(frame(records)), csv_text(summary(frame(records)))):
        assert all(name in text for name in names)


def test_prompt_files_of_one_name_are_named_by_their_words() -> None:
    prompts = {"prompts": "words.toml"}
    twins = [trained("zero-shot", options=prompts, **keyed(prompts=key * 64)) for key in "ab"]
    assert details(board_of(*twins)) == ["zero-shot prompt set=aaaaaaaa", "zero-shot prompt set=bbbbbbbb"]
    assert board_of(*twins).common_text == "prompts=words.toml"


def test_a_baseline_that_is_several_methods_says_what_to_type(tmp_path: Path) -> None:
    twins = [trained("zero-shot", **keyed(prompts=key * 64)) for key in "ab"]
    run = twins[0].run
    with pytest.raises(UsageError, match=rf"as in `--baseline {run}`: {run} for zero-shot \(prompt set=a"):
        differences(twins, Reader(tmp_path), "zero-shot")


def test_the_summary_has_the_keys_of_method_and_encoder() -> None:
    record = trained("linear-probe")
    (row,) = summary(frame([record])).to_dict("records")
    assert (row["method_key"], row["encoder_key"]) == (record.method_key, record.encoder_key)
