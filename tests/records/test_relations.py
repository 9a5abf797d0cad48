"""What counts as the same photographs, by the names of sets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache import registry
from fercache.datasets import DatasetName
from fercache.experiments.config import load_experiment, trials
from fercache.records import frame
from fercache.records.relations import Seen, declared, relatives, seen_by_names
from fercache.reporting.boards import boards
from tests.conftest import REPOSITORY
from tests.fake_records import fake_record

FER2013 = {"fer2013", "ferplus", "mmafedb"}
"""The families whose photographs are those of FER2013, or hold them."""

families = st.sampled_from([*registry.names("datasets"), "somebodys"])
sets = st.builds(
    DatasetName,
    family=families,
    domain=st.sampled_from(["", "studio", "webcam", "mine"]),
    corruption=st.sampled_from(["", "blur:3"]),
    split=st.sampled_from(["", "train", "test"]),
)


@given(one=sets, other=sets, third=sets)
def test_the_relation_is_symmetric_and_transitive(one: DatasetName, other: DatasetName, third: DatasetName) -> None:
    assert declared(one, one) == "same set"
    assert declared(one, other) == declared(other, one)
    if declared(one, other) and declared(other, third):
        assert declared(one, third)


@given(one=sets, other=sets)
def test_neither_split_nor_corruption_nor_another_domain_changes_it(one: DatasetName, other: DatasetName) -> None:
    assert declared(one, other) == declared(one.clean, other.clean)
    same_family = one.family == other.family
    if same_family and one.domain != other.domain and one.family not in FER2013:
        assert declared(one, other) is None


@pytest.mark.parametrize("one", sorted(FER2013))
def test_fer2013_in_all_its_packings_is_one_set_of_photographs(one: str) -> None:
    others = {name for name in registry.names("datasets") if declared(DatasetName(one), DatasetName(name))}
    assert others == FER2013
    assert set(relatives(one)) == FER2013 - {one}


def test_no_other_sets_are_related() -> None:
    assert not any(relatives(name) for name in registry.names("datasets") if name not in FER2013)


def test_a_relation_that_one_set_declares_reaches_through_others(monkeypatch: pytest.MonkeyPatch) -> None:
    declare = {"rafdb": ("sfew",), "sfew": ("ckplus",), "affectnet": ("ckplus",)}
    for name in registry.names("datasets"):
        monkeypatch.setattr(type(registry.load("datasets", name)), "images_of", declare.get(name, ()))
    from fercache.records import relations

    relations._relatives.cache_clear()
    try:
        assert relatives("affectnet") == ("ckplus", "rafdb", "sfew")
    finally:
        relations._relatives.cache_clear()


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (("source", "ferplus", "same pictures", 3210), "3,210 of its 3,589 images are in ferplus, which the head "),
        (("source", "ferplus", "same pictures", 0), "the photographs of ferplus, which the head was trained on (0 of "),
        (("source", "ferplus", "same pictures", None), "it has the photographs of ferplus, which the head was "),
        (("encoder", "ferplus@train", "identical images", 2), "2 of its 3,589 images are in ferplus@train, which the "),
        (("encoder", "ferplus@train", "same set", 288), "the encoder was trained on ferplus@train, which has 288 of "),
        (("encoder", "", "same set", None), "the encoder was trained on this dataset, or on one with its images"),
    ],
)
def test_a_reason_is_a_sentence_with_its_counts(seen: tuple[str, str, str, int | None], reason: str) -> None:
    found = Seen.model_validate(dict(zip(("by", "through", "how", "images"), seen, strict=True)))
    assert reason in found.reason(3589)


@pytest.mark.parametrize("file", sorted((REPOSITORY / "pipelines").glob("*.toml")), ids=lambda file: file.stem)
def test_no_shipped_experiment_presents_a_seen_target_as_unseen(file: Path) -> None:
    """Of every trial, what the board counts as unseen has no photographs of its sources: by a list kept here."""
    for trial in trials(load_experiment(file)):
        records = [
            fake_record(target=str(DatasetName.parse(target).whole), source=trial.source, seen_by_encoder=False)
            for target in trial.targets
        ]
        for board in boards(frame(records)):
            sources = {DatasetName.parse(name).clean for name in trial.source.split(" & ")}
            for target in map(DatasetName.parse, board.unseen):
                assert target.clean not in sources
                assert not (target.family in FER2013 and FER2013 & {source.family for source in sources})


def test_what_is_no_name_of_a_set_is_unrelated_unless_it_is_the_same() -> None:
    assert seen_by_names("ferplus", "all & my net's data", False) == ()
    assert [each.how for each in seen_by_names("<odd>", "<odd>", False)] == ["same set"]
