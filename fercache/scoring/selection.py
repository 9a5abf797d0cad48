"""Which snapshot of a run counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from fercache.errors import UsageError, nearest

POLICIES = ("source-val", "last", "oracle")
"""`source-val` is best on source validation; `oracle` is best on the target itself, as the papers' code selects."""


def validation_rank(row: Mapping[str, Any]) -> tuple[float, float]:
    """What a row of a run's history is ranked by: accuracy on source validation, then mean class recall."""
    return float(row["validation_accuracy"]), float(row["validation_uar"])


def choose(policy: str, history: Sequence[Mapping[str, Any]], target_accuracy: Mapping[str, float] | None) -> str:
    """The name of the snapshot that `policy` picks, the earliest among equals.

    `history` has a row per epoch, with the name of its `snapshot` where there is one. `target_accuracy` by snapshot is
    for `oracle`: ValueError when another policy is given it, or `oracle` is not. UsageError for an unknown policy.
    """
    if policy not in POLICIES:
        raise UsageError(f"'{policy}' is not a selection policy. {nearest(policy, POLICIES)}")
    if (policy == "oracle") != (target_accuracy is not None):
        raise ValueError("The oracle, and no other policy, looks at accuracy on the target.")
    kept = [row for row in history if row["snapshot"]]
    if policy == "last":
        return str(kept[-1]["snapshot"])
    if target_accuracy is not None:
        return str(max(kept, key=lambda row: target_accuracy[row["snapshot"]])["snapshot"])
    return str(max(kept, key=validation_rank)["snapshot"])
