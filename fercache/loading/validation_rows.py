"""Which rows are held out for validation: stratified by class, subjects kept whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def split_validation(index: NDArray[np.int64], subject: NDArray[Any], fraction: float, seed: int) -> NDArray[np.bool_]:
    """(N,) whether a row is held out: a `fraction` of each class, in whole subjects where `subject` (N,) is not empty.

    `index` (N,) is the class; rows without one (negative) are never held out. Depends on the arguments alone.
    Of two or more rows, some are held out and some are not; a single subject is split by rows.
    """
    labelled = np.flatnonzero(index >= 0)
    counts = _counts_per_unit(index[labelled], subject[labelled])
    if counts.units == 1:
        counts = _counts_per_unit(index[labelled], np.full(len(labelled), ""))
    held_out = np.zeros(len(index), dtype=bool)
    if counts.units < 2:
        return held_out
    chosen = _choose_units(counts.classes, fraction, np.random.default_rng(seed))
    held_out[labelled] = chosen[counts.unit]
    return held_out


def split_folds(index: NDArray[np.int64], subject: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """(N,) the fold of each row: stratified by class, subjects kept whole, as in `split_validation`.

    With fewer faces or subjects than `folds`, there are fewer folds. Depends on the arguments alone.
    """
    fold, left = np.zeros(len(index), dtype=np.int64), np.arange(len(index))
    for number in range(1, folds):
        held_out = split_validation(index[left], subject[left], 1 / (folds - number + 1), seed=number)
        fold[left[held_out]] = number
        left = left[~held_out]
    return fold


@dataclass(frozen=True)
class _UnitCounts:
    """`unit` (N,) is the unit of a row, a subject or a lone row; `classes` (U, L) counts the rows of each class."""

    unit: NDArray[np.int64]
    classes: NDArray[np.int64]

    @property
    def units(self) -> int:
        return len(self.classes)


def _counts_per_unit(index: NDArray[np.int64], subject: NDArray[Any]) -> _UnitCounts:
    # A lone row's number cannot be a subject's name, which is a string.
    names = [(1, name) if name else (0, row) for row, name in enumerate(subject)]
    position = {name: i for i, name in enumerate(sorted(set(names)))}
    unit = np.array([position[name] for name in names], dtype=np.int64)
    classes = np.zeros((len(position), int(index.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(classes, (unit, index), 1)
    return _UnitCounts(unit, classes)


def _choose_units(classes: NDArray[np.int64], fraction: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Visits the units in random order and takes each that brings the class counts nearer to the wanted ones."""
    chosen = np.zeros(len(classes), dtype=bool)
    missing = fraction * classes.sum(axis=0)
    for unit in generator.permutation(len(classes)):
        if missing.max() <= 0.5 or chosen.sum() == len(classes) - 1:
            break  # no unit can bring the counts nearer, or none would be left to train on
        if ((missing - classes[unit]) ** 2).sum() < (missing**2).sum():
            chosen[unit] = True
            missing = missing - classes[unit]
    if not chosen.any():
        chosen[((missing - classes) ** 2).sum(axis=1).argmin()] = True
    return chosen
