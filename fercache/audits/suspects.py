"""Faces whose label is implausible to a model that was not trained on it."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict

FOLDS = 5
BELIEVED = 0.05
CONTRADICTED = 0.9


@dataclass(frozen=True)
class Suspects:
    """Rows (P,) of the faces, the more likely expression (P,), and the probabilities (P,) of both."""

    row: NDArray[np.int64]
    suggested: NDArray[np.int64]
    of_label: NDArray[np.float64]
    of_suggested: NDArray[np.float64]


def suspect_labels(features: NDArray[np.floating], index: NDArray[np.int64]) -> Suspects:
    """Faces with features (N, D) whose label (N,) has a probability below BELIEVED while another reaches CONTRADICTED.

    Probabilities come from a linear discriminant fitted to the other folds; the clearest contradictions come first.
    Expressions with fewer than FOLDS faces are skipped.
    """
    counts = np.bincount(index)
    rows = np.flatnonzero(counts[index] >= FOLDS)
    empty = np.empty(0, np.int64)
    if len(np.unique(index[rows])) < 2:
        return Suspects(empty, empty, empty.astype(float), empty.astype(float))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the shrinkage handles collinear channels
        shares = cross_val_predict(
            model, features[rows].astype(np.float32, copy=False), index[rows], cv=folds, method="predict_proba"
        )
    classes = np.unique(index[rows])
    label = np.searchsorted(classes, index[rows])
    of_label, of_best = shares[np.arange(len(rows)), label], shares.max(axis=1)
    found = np.flatnonzero((of_label < BELIEVED) & (of_best > CONTRADICTED))
    found = found[np.argsort(of_label[found] - of_best[found], kind="stable")]
    return Suspects(rows[found], classes[shares.argmax(axis=1)[found]], of_label[found], of_best[found])
