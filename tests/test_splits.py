import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.splits import ALIASES, SPLITS, default_split, meant_split, split_name

known = st.sampled_from([(alias, split) for split, aliases in ALIASES.items() for alias in aliases])


@given(
    known, st.sampled_from(["", "set", "_set", "-split", " data"]), st.sampled_from([str.upper, str.title, str.lower])
)
def test_every_usual_name_is_known_in_any_spelling(
    pair: tuple[str, str],
    ending: str,
    case: "type[str.upper]",  # type: ignore[valid-type]
) -> None:
    alias, split = pair
    assert split_name(case(f" {alias}{ending} ")) == split


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Training", "train"),
        ("PublicTest", "publictest"),
        ("Private Test", "private-test"),
        ("dev", "validation"),
        ("val_set", "validation"),
        ("eval", "eval"),
        ("holdout", "holdout"),
        ("Hold out", "hold-out"),
        ("", ""),
    ],
)
def test_names(name: str, split: str) -> None:
    assert split_name(name) == split


@pytest.mark.parametrize(
    ("there", "wanted", "meant"),
    [
        ({"train", "test"}, "test", "test"),
        ({"train", "validation"}, "test", "validation"),
        ({"train"}, "test", "train"),
        ({""}, "test", ""),
        ({"train", "holdout", "test"}, "test", "test"),
        ({"train", "holdout"}, "test", None),
        ({"train", ""}, "test", None),
        ({"train", "validation", "eval"}, "test", None),
        ({"holdout"}, "train", None),
        ({"validation", "test"}, "train", None),
        ({"train", "holdout"}, "", ""),
    ],
)
def test_what_is_meant_is_never_guessed_beside_a_name_that_is_not_known(
    there: set[str], wanted: str, meant: str | None
) -> None:
    assert meant_split(there, wanted) == meant


@given(st.sets(st.sampled_from([*SPLITS, "holdout", "fold-3", "eval", "gallery"]), min_size=1))
def test_train_is_never_scored_beside_a_split_that_is_not_known(there: set[str]) -> None:
    if meant_split(there, "test") == "train":
        assert there == {"train"}


def test_the_refusal_names_the_commands() -> None:
    with pytest.raises(UsageError, match=r"only 'holdout', 'train'.* Choose one: mine@holdout"):
        default_split({"train", "holdout"}, "test", "mine")
    with pytest.raises(UsageError, match="and faces without a split"):
        default_split({"train", ""}, "test", "mine")
