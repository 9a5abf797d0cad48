"""The splits of a dataset by name, the other names people give them, and which one is meant where none is named."""

import re
from collections.abc import Collection

from fercache.errors import UsageError

SPLITS = ("train", "validation", "test")

POOL = " & "
"""Stands between the names of datasets whose faces make one source."""

ALIASES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
}
"""In lower case and without separators; `set`, `split` and `data` at the end do not count (`val_set`).

`eval` and `holdout` are not here: to some they are validation, to others the test. Nor are names of one dataset
(`PublicTest`), which only its own file knows.
"""

_NAME_OF_ALIAS = {alias: split for split, aliases in ALIASES.items() for alias in aliases}


def split_name(name: str) -> str:
    """The one spelling of a split: `valid`, `Val`, `dev` -> `validation`.

    Other names, which a dataset may have, stay as they are, in lower case and fit for `NAME@SPLIT`.
    """
    lower = name.strip().lower()
    letters = re.sub(r"[\W_]+", "", lower)
    known = _NAME_OF_ALIAS.get(letters) or _NAME_OF_ALIAS.get(re.sub(r"(set|split|data)$", "", letters))
    return known or re.sub(r"[^\w.-]+", "-", lower)


def meant_split(there: Collection[str], wanted: str) -> str | None:
    """`wanted` where it is there; "" (all faces) where there are no splits; else what comes nearest to a test.

    None where names that are not known, or faces without a split, leave open what is meant.
    """
    if wanted in there or wanted == "":
        return wanted
    if set(there) <= {""}:
        return ""
    if wanted == "train" or not set(there) <= set(SPLITS):
        return None
    return next((split for split in ("validation", "train") if split in there), None)


def default_split(there: Collection[str], wanted: str, name: str) -> str:
    """The split of the dataset `name` that is meant. Raises UsageError, with the names to choose from, if none is."""
    split = meant_split(there, wanted)
    if split is None:
        named = sorted(filter(None, there))
        choices = " or ".join(f"{name}@{each}" for each in named if each not in SPLITS) or f"{name}@{named[-1]}"
        listed = ", ".join(map(repr, named)) + (", and faces without a split" if "" in there else "")
        raise UsageError(f"{name} has no '{wanted}' split, only {listed}. Write which one is meant: {choices}.")
    return split
