"""Faces whose label is implausible to a model that was not trained on it."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, train_test_split

from fercache.store.rows import Rows

FOLDS = 5
FITTED_ON = 100_000
"""Faces that a model is fitted to, at most; of more, a sample."""
BLOCK = 65_536
"""Faces in memory at a time, beyond FITTED_ON."""
BELIEVED = 0.05
CONTRADICTED = 0.9


@dataclass(frozen=True)
class Suspects:
    """Rows (P,) of the faces, the more likely expression (P,), and the probabilities (P,) of both."""

    row: NDArray[np.int64]
    suggested: NDArray[np.int64]
    of_label: NDArray[np.float64]
    of_suggested: NDArray[np.float64]


def suspect_labels(features: Rows, index: NDArray[np.int64]) -> Suspects:
    """Faces with features (N, D) whose label (N,) has a probability below BELIEVED while another reaches CONTRADICTED.

    Probabilities come from a linear discriminant fitted to the other folds; the clearest contradictions come first.
    Faces without a label (-1) and expressions with fewer than FOLDS faces are skipped.
    """
    counts = np.bincount(index[index >= 0], minlength=1)
    rows = np.flatnonzero((index >= 0) & (counts[index] >= FOLDS))
    classes, label = np.unique(index[rows], return_inverse=True)
    empty = np.empty(0, np.int64)
    if len(classes) < 2:
        return Suspects(empty, empty, empty.astype(float), empty.astype(float))
    of_label, of_best, best = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows), np.int64)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for others, inside in folds.split(np.zeros(len(rows)), label):
        model = _fitted(features, rows, label, others=others)
        for part in np.split(inside, range(BLOCK, len(inside), BLOCK)) if len(rows) > FITTED_ON else [inside]:
            shares = model.predict_proba(_read(features, rows[part]))
            of_label[part], of_best[part] = shares[np.arange(len(part)), label[part]], shares.max(axis=1)
            best[part] = shares.argmax(axis=1)
    found = np.flatnonzero((of_label < BELIEVED) & (of_best > CONTRADICTED))
    found = found[np.argsort(of_label[found] - of_best[found], kind="stable")]
    return Suspects(rows[found], classes[best[found]], of_label[found], of_best[found])


def _fitted(
    features: Rows, rows: NDArray[np.int64], label: NDArray[np.int64], others: NDArray[np.int64]
) -> LinearDiscriminantAnalysis:
    if len(others) > FITTED_ON:
        others, _ = train_test_split(others, train_size=FITTED_ON, stratify=label[others], random_state=0)
        others = np.sort(others)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the shrinkage handles collinear channels
        return model.fit(_read(features, rows[others]), label[others])


def _read(features: Rows, rows: NDArray[np.int64]) -> NDArray[np.floating]:
    return features[rows].astype(np.float32, copy=False)
