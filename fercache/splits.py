"""The names of splits, their aliases, and which split is meant if none is named."""

import re
from collections.abc import Collection

from fercache.errors import UsageError

SPLITS = ("train", "validation", "test")

POOL = " & "
"""Separates the names of datasets that are pooled into one source."""

ALIASES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
}
"""In lower case and without separators; `set`, `split` and `data` at the end are ignored (`val_set`).

`eval` and `holdout` are missing: they mean validation to some, test to others. So are names of a single dataset
(`PublicTest`), which are in its own file.
"""

_NAME_OF_ALIAS = {alias: split for split, aliases in ALIASES.items() for alias in aliases}


def split_name(name: str) -> str:
    """The canonical name of a split: `valid`, `Val`, `dev` -> `validation`.

    Other names are kept, in lower case and with characters allowed in `NAME@SPLIT`.
    """
    lower = name.strip().lower()
    letters = re.sub(r"[\W_]+", "", lower)
    known = _NAME_OF_ALIAS.get(letters) or _NAME_OF_ALIAS.get(re.sub(r"(set|split|data)$", "", letters))
    return known or re.sub(r"[^\w.-]+", "-", lower)


def meant_split(there: Collection[str], wanted: str) -> str | None:
    """`wanted` if it exists; "" (all faces) if there are no splits; else the split closest to a test split.

    None if unknown names, or faces without a split, make it ambiguous.
    """
    if wanted in there or wanted == "":
        return wanted
    if set(there) <= {""}:
        return ""
    if wanted == "train" or not set(there) <= set(SPLITS):
        return None
    return next((split for split in ("validation", "train") if split in there), None)


def default_split(there: Collection[str], wanted: str, name: str) -> str:
    """The split of the dataset `name` that is meant. Raises UsageError with the possible names if it is ambiguous."""
    split = meant_split(there, wanted)
    if split is None:
        named = sorted(filter(None, there))
        choices = " or ".join(f"{name}@{each}" for each in named if each not in SPLITS) or f"{name}@{named[-1]}"
        listed = ", ".join(map(repr, named)) + (", and faces without a split" if "" in there else "")
        raise UsageError(f"{name} has no '{wanted}' split, only {listed}. Choose one: {choices}.")
    return split
