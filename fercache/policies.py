"""The names of policies: how votes become labels, which faces of a photograph and which snapshot of a run count."""

from enum import StrEnum
from typing import Literal

Which = Literal["largest", "all", "single"]
"""Of a photograph's faces: the largest, all, or the only one."""
LARGEST: Which = "largest"


class VotePolicy(StrEnum):
    """How the votes of several raters become a label; `soft` keeps them as a distribution, for training."""

    MAJORITY = "majority"
    PLURALITY = "plurality"
    SOFT = "soft"


class Sees(StrEnum):
    """What a method saw of the target whose score a record has; with labels, a record has their number, `5 labels`.

    `nothing` is the papers' protocol. Scores of different protocols are never ranked against each other: methods that
    learned from a few labels of the target are ranked together, and apart from these on other targets.
    """

    NOTHING = "nothing"
    UNLABELLED = "unlabelled target"
    LABELS = "few labels"
    OTHER_LABELS = "few labels of another target"
    ORACLE = "oracle"


UNGUARDED = "-unguarded"
"""Suffix of an adaptation's name without its guard."""


class SelectionPolicy(StrEnum):
    """How the snapshot of a run is selected; see `scoring/selection.py`.

    `source-val` is best on source validation, `source-1se` the first within one standard error of that,
    `source-shifted` best on shifted images of it; `oracle` is best on the target itself, as the papers' code selects.
    """

    SOURCE_VAL = "source-val"
    SOURCE_1SE = "source-1se"
    SOURCE_SHIFTED = "source-shifted"
    LAST = "last"
    ORACLE = "oracle"


DEFAULT, FALLBACK = SelectionPolicy.SOURCE_SHIFTED, SelectionPolicy.SOURCE_VAL
"""The selection policy of headlines, tests and `predict`, and the one for runs without shifted images."""
