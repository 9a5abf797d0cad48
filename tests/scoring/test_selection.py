"""Which snapshot each policy picks, and who may look at the target."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.scoring.selection import POLICIES, choosable, choose, policies_of


def row(epoch: int, accuracy: float, mean_class_recall: float, snapshot: str = "") -> dict[str, Any]:
    return {
        "epoch": epoch,
        "validation_accuracy": accuracy,
        "validation_mean_class_recall": mean_class_recall,
        "snapshot": snapshot,
    }


HISTORY = [
    row(1, 0.50, 0.4),
    row(2, 0.80, 0.5, "epoch-02"),
    row(3, 0.80, 0.6, "epoch-03"),
    row(4, 0.80, 0.6, "epoch-04"),
    row(5, 0.99, 0.9),  # not kept
    row(6, 0.70, 0.7, "epoch-06"),
]
FACES = 400
ON_TARGET = {"epoch-02": 0.3, "epoch-03": 0.2, "epoch-04": 0.1, "epoch-06": 0.3}


def test_source_validation_decides_by_accuracy_then_recall_then_earliest() -> None:
    assert choose("source-val", HISTORY, FACES) == "epoch-03"


def test_last_is_the_last_that_was_kept() -> None:
    assert choose("last", HISTORY, FACES) == "epoch-06"
    assert choose("last", [*HISTORY, row(7, 0.9, 0.9)], FACES) == "epoch-06"


@pytest.mark.parametrize(
    ("faces", "chosen"),
    [
        (400, "epoch-02"),  # one standard error of 0.80 is 0.02: all three of 0.80 are as good
        (10, "epoch-02"),
        (4, "epoch-01"),  # it is 0.2
    ],
)
def test_the_first_within_one_standard_error_of_the_best(faces: int, chosen: str) -> None:
    history = [row(1, 0.61, 0.4, "epoch-01"), *HISTORY[1:4]]
    assert choose("source-1se", history, faces) == chosen


def test_where_validation_is_perfect_the_first_perfect_one_is_taken() -> None:
    assert choose("source-1se", [row(1, 0.99, 0.9, "a"), row(2, 1.0, 1.0, "b"), row(3, 1.0, 1.0, "c")], FACES) == "b"


def test_shifted_faces_decide_where_there_are_any() -> None:
    shifted = [
        each | {"shifted_accuracy": 1 - each["validation_accuracy"], "shifted_mean_class_recall": 0.5}
        for each in HISTORY
    ]
    assert policies_of(shifted) == POLICIES
    assert choose("source-shifted", shifted, FACES) == "epoch-06"
    assert "source-shifted" not in policies_of(HISTORY)
    with pytest.raises(ValueError, match="needs accuracy on shifted faces"):
        choose("source-shifted", HISTORY, FACES)


def test_the_oracle_decides_by_the_target_then_earliest() -> None:
    assert choose("oracle", HISTORY, FACES, ON_TARGET) == "epoch-02"
    assert choose("oracle", HISTORY, FACES, ON_TARGET | {"epoch-04": 0.31}) == "epoch-04"


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "oracle"])
def test_only_the_oracle_may_look_at_the_target(policy: str) -> None:
    with pytest.raises(ValueError, match="uses accuracy on the target"):
        choose(policy, HISTORY, FACES, ON_TARGET)


def test_the_oracle_must_look_at_the_target() -> None:
    with pytest.raises(ValueError, match="uses accuracy on the target"):
        choose("oracle", HISTORY, FACES)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "source-shifted"])
def test_candidates_have_no_order_in_time_so_the_last_is_the_best(policy: str) -> None:
    candidates = [row(0, 0.5, 0.5, "C=0.1"), row(0, 0.9, 0.9, "C=1"), row(0, 0.7, 0.7, "C=10")]
    on_target = {"C=0.1": 0.1, "C=1": 0.5, "C=10": 0.2} if policy == "oracle" else None
    assert choose(policy, candidates, FACES, on_target) == "C=1"


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'source-val'"):
        choose("source-validation", HISTORY, FACES)


@given(
    st.lists(st.tuples(*[st.sampled_from([0.2, 0.5, 0.52, 0.8, 1.0])] * 4, st.booleans()), min_size=1, max_size=9),
    st.integers(1, 500),
    st.booleans(),
    st.booleans(),
)
def test_without_the_snapshots_that_no_policy_chooses_all_choose_the_same(
    rows: list[tuple[float, float, float, float, bool]], faces: int, shifted: bool, too_few: bool
) -> None:
    history = []
    for epoch, (accuracy, recall, of_shifted, recall_of_shifted, kept) in enumerate(rows, 1):
        history.append(row(epoch, accuracy, recall, f"epoch-{epoch}" if kept or epoch == len(rows) else ""))
        if shifted:
            history[-1] |= {"shifted_accuracy": of_shifted, "shifted_mean_class_recall": recall_of_shifted}
    chosen = choosable(history, faces, too_few=too_few)
    pruned = [each | {"snapshot": each["snapshot"] if each["snapshot"] in chosen else ""} for each in history]
    assert len(chosen) <= 4
    for policy in (each for each in policies_of(history) if each != "oracle"):
        expected = choose(policy, history, faces, too_few=too_few)
        assert choose(policy, pruned, faces, too_few=too_few) == expected
