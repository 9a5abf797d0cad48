"""Which snapshot each policy picks, and who may look at the target."""

from typing import Any

import pytest

from fercache.errors import UsageError
from fercache.scoring.selection import POLICIES, choose


def row(epoch: int, accuracy: float, uar: float, snapshot: str = "") -> dict[str, Any]:
    return {"epoch": epoch, "validation_accuracy": accuracy, "validation_uar": uar, "snapshot": snapshot}


HISTORY = [
    row(1, 0.50, 0.4),
    row(2, 0.80, 0.5, "epoch-02"),
    row(3, 0.80, 0.6, "epoch-03"),
    row(4, 0.80, 0.6, "epoch-04"),
    row(5, 0.99, 0.9),  # not kept
    row(6, 0.70, 0.7, "epoch-06"),
]
ON_TARGET = {"epoch-02": 0.3, "epoch-03": 0.2, "epoch-04": 0.1, "epoch-06": 0.3}


def test_source_validation_decides_by_accuracy_then_recall_then_earliest() -> None:
    assert choose("source-val", HISTORY, None) == "epoch-03"


def test_last_is_the_last_that_was_kept() -> None:
    assert choose("last", HISTORY, None) == "epoch-06"
    assert choose("last", [*HISTORY, row(7, 0.9, 0.9)], None) == "epoch-06"


def test_the_oracle_decides_by_the_target_then_earliest() -> None:
    assert choose("oracle", HISTORY, ON_TARGET) == "epoch-02"
    assert choose("oracle", HISTORY, ON_TARGET | {"epoch-04": 0.31}) == "epoch-04"


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "oracle"])
def test_nobody_else_may_look_at_the_target(policy: str) -> None:
    with pytest.raises(ValueError, match="looks at accuracy on the target"):
        choose(policy, HISTORY, ON_TARGET)


def test_the_oracle_must_look_at_the_target() -> None:
    with pytest.raises(ValueError, match="looks at accuracy on the target"):
        choose("oracle", HISTORY, None)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fitted_head_has_one_snapshot(policy: str) -> None:
    on_target = {"final": 0.5} if policy == "oracle" else None
    assert choose(policy, [row(0, 0.9, 0.9, "final")], on_target) == "final"


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'source-val'"):
        choose("source-validation", HISTORY, None)
