"""Where datasets are, and what is found there."""

from pathlib import Path

import pytest

from fercache import Settings, registry
from fercache.datasets import Finding
from fercache.errors import UsageError
from fercache.stages.check import Checked, check_all, check_one, rows
from tests.datasets.miniatures.ferplus import ferplus
from tests.datasets.miniatures.own_images import folder

DOMAINS = registry.load("datasets", "synthetic").domains

NO_CACHE = Path("no", "such", "cache")


def by_name(settings: Settings) -> dict[str, Checked]:
    found = list(check_all(settings))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def test_every_dataset_is_listed_and_those_without_a_root_have_no_findings() -> None:
    found = by_name(Settings(cache=NO_CACHE))
    families = {name.partition(":")[0] for name in found}
    assert families == set(registry.names("datasets"))
    for name, one in found.items():
        assert one.problem == ""
        assert bool(one.findings) == name.startswith("synthetic:")
    assert [name for name in found if name.startswith("synthetic")] == [f"synthetic:{domain}" for domain in DOMAINS]
    assert all(finding.agrees for one in found.values() for finding in one.findings)


def test_roots_are_looked_at_and_counted(tmp_path: Path) -> None:
    folder(tmp_path / "a")
    ferplus(tmp_path / "b")
    roots = {"folder:office": tmp_path / "a", "folder:home": tmp_path / "a", "ferplus": tmp_path / "b"}
    found = by_name(Settings(cache=NO_CACHE, datasets=roots))
    assert "folder" not in found
    for name, root in roots.items():
        assert found[name].root == root
        assert found[name].findings
    images = {f.split: (f.expected, f.found) for f in found["ferplus"].findings if f.label == ""}
    assert images == {"train": (28_561, 5), "validation": (3_579, 2), "test": (3_574, 4)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rafdb", "Expected:"),
        ("ferplus:office", "has no domains"),
        ("rafbd", "Did you mean 'rafdb'"),
        ("folder:my office", "is not a dataset name"),
    ],
)
def test_problems_are_reported_and_the_others_are_still_checked(tmp_path: Path, name: str, words: str) -> None:
    folder(tmp_path / "a")
    found = by_name(Settings(cache=NO_CACHE, datasets={name: tmp_path / "absent", "folder:mine": tmp_path / "a"}))
    assert words in found[name].problem
    assert found[name].root == tmp_path / "absent"
    assert not found[name].findings
    assert found["folder:mine"].findings


def test_one_dataset_or_all_its_domains() -> None:
    assert [one.name for one in check_one(Settings(cache=NO_CACHE), "synthetic")] == [
        f"synthetic:{domain}" for domain in DOMAINS
    ]
    assert [one.name for one in check_one(Settings(cache=NO_CACHE), "synthetic:sketch")] == ["synthetic:sketch"]
    assert check_one(Settings(cache=NO_CACHE), "rafdb") == [Checked("rafdb", None)]


def test_a_given_root_goes_before_the_configured_one(tmp_path: Path) -> None:
    folder(tmp_path / "a")
    settings = Settings(cache=NO_CACHE, datasets={"folder:mine": tmp_path / "absent"})
    assert check_one(settings, "folder:mine")[0].problem
    (found,) = check_one(settings, "folder:mine", tmp_path / "a")
    assert found.findings


@pytest.mark.parametrize("name", ["ferpluss", "synthetic:studoi", "ferplus:a", "a b"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_one(Settings(cache=NO_CACHE), name)


def test_rows_of_a_csv_file(tmp_path: Path) -> None:
    findings = [Finding("train", "", None, 4), Finding("train", "anger", 3, 4)]
    checked = [Checked("mine", tmp_path, findings), Checked("lost", None, problem="gone"), Checked("far", None)]
    first, second, third, fourth = rows(checked)
    assert third == {"dataset": "lost", "root": "", "problem": "gone"}
    assert fourth["problem"] == "no root yet"
    assert first == {
        "dataset": "mine",
        "root": tmp_path,
        "split": "train",
        "label": "all",
        "expected": "",
        "found": 4,
        "agrees": True,
    }
    assert (second["label"], second["expected"], second["agrees"]) == ("anger", 3, False)
