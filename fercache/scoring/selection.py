"""Selection policies, which choose a run's snapshot: an epoch of a gradient head, or a candidate of a fitted one."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from fercache.errors import UsageError, nearest
from fercache.policies import DEFAULT, FALLBACK, SelectionPolicy

POLICIES = tuple(SelectionPolicy)
BY_SHIFTED = SelectionPolicy.SOURCE_SHIFTED


def validation_rank(row: Mapping[str, Any]) -> tuple[float, float]:
    """The ranking of a row of a run's history: accuracy on source validation, then mean class recall."""
    return float(row["validation_accuracy"]), float(row["validation_mean_class_recall"])


def policies_of(history: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The policies that a run's history can serve: `source-shifted` needs shifted faces."""
    shifted = all(isinstance(row.get("shifted_accuracy"), float | int) for row in history)
    return tuple(policy for policy in POLICIES if shifted or policy != BY_SHIFTED)


def headline(of_methods: Iterable[Collection[str]]) -> str:
    """The policy for comparing methods, given the policies of each: one that all of them have.

    Never the oracle: without any other common policy, it is FALLBACK.
    """
    found = [set(policies) for policies in of_methods]
    if found and all(DEFAULT in policies for policies in found):
        return DEFAULT
    present = set().union(*found) - {DEFAULT, SelectionPolicy.ORACLE}
    return next((policy for policy in POLICIES if policy in present), FALLBACK)


def headline_of(history: Sequence[Mapping[str, Any]]) -> str:
    """The policy of a run by itself, given its history."""
    return headline([policies_of(history)])


def choosable(history: Sequence[Mapping[str, Any]], faces: int, *, too_few: bool = False) -> set[str]:
    """The names of the snapshots that some policy but the oracle chooses; the arguments are those of `choose`.

    With the others left out of the history, these policies choose the same.
    """
    policies = [policy for policy in policies_of(history) if policy != SelectionPolicy.ORACLE]
    return {choose(policy, history, faces, too_few=too_few) for policy in policies}


def choose(
    policy: str,
    history: Sequence[Mapping[str, Any]],
    faces: int,
    target_accuracy: Mapping[str, float] | None = None,
    *,
    too_few: bool = False,
) -> str:
    """The name of the snapshot that `policy` picks, the first (of candidates the most regularised) among equals.

    `history` has a row per epoch or candidate, with the name of its `snapshot` if it has one; `faces` is the number in
    source validation; if they were `too_few`, the last epoch is chosen. `target_accuracy` by snapshot is for `oracle`:
    ValueError if another policy is given it, or `oracle` is not, or if the history cannot serve the policy. UsageError
    for an unknown policy.
    """
    if policy not in POLICIES:
        raise UsageError(f"'{policy}' is not a selection policy. {nearest(policy, POLICIES)}")
    if (policy == SelectionPolicy.ORACLE) != (target_accuracy is not None):
        raise ValueError("Only the oracle uses accuracy on the target.")
    if policy not in policies_of(history):
        raise ValueError(f"{policy} needs accuracy on shifted faces, which the history does not hold.")
    kept = [row for row in history if row["snapshot"]]
    if too_few and target_accuracy is None and kept[-1]["epoch"]:  # candidates are cross-validated
        policy = SelectionPolicy.LAST
    best = max(kept, key=validation_rank)
    if target_accuracy is not None:
        best = max(kept, key=lambda row: target_accuracy[row["snapshot"]])
    elif policy == SelectionPolicy.LAST:  # candidates of a fitted head have no order in time: take the best
        best = max((row for row in kept if row["epoch"] == kept[-1]["epoch"]), key=validation_rank)
    elif policy == BY_SHIFTED:
        best = max(kept, key=lambda row: (row["shifted_accuracy"], row["shifted_mean_class_recall"]))
    elif policy == SelectionPolicy.SOURCE_1SE:
        accuracy = float(best["validation_accuracy"])
        enough = accuracy - math.sqrt(accuracy * (1 - accuracy) / faces)
        best = next(row for row in kept if row["validation_accuracy"] >= enough)
    return str(best["snapshot"])
