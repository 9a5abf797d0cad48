"""Faces that are drawn at random with known recalls, alone or by subject, and confidences of known error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZES: dict[str, tuple[int, ...]] = {
    "2 each": (2,) * 7,
    "8 each": (8,) * 7,
    "30 each": (30,) * 7,
    "mixed, 2 to 800": (2, 8, 8, 30, 30, 200, 800),
}
"""Faces of the seven expressions."""

MIXES: dict[str, tuple[int, ...]] = {"equal": (20,) * 7, "skewed": (1, 2, 5, 12, 20, 40, 60)}
RECALLS: dict[str, tuple[float, ...]] = {
    "0.5": (0.5,) * 7,
    "0.9": (0.9,) * 7,
    "0.99": (0.99,) * 7,
    "0.3 to 0.97": (0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 0.97),
}
SUBJECTS = (8, 15, 60)
SHARPENED = {"calibrated": 1.0, "overconfident": 1.6, "underconfident": 0.6}
"""By what the logits are multiplied that the truth was drawn from."""


@dataclass(frozen=True)
class Drawn:
    """`truth` and `predicted` (N,), and the `subject` of each face, numbered from 0."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    subject: NDArray[np.int64]

    @property
    def names(self) -> NDArray[np.object_]:
        return np.array([f"p{number}" for number in self.subject], dtype=object)

    def mean_class_recall(self, rows: NDArray[np.int64] | slice = slice(None)) -> float:
        """The mean recall of the classes that `rows` show."""
        truth, right = self.truth[rows], self.predicted[rows] == self.truth[rows]
        faces = np.bincount(truth)
        return float((np.bincount(truth, right)[faces > 0] / faces[faces > 0]).mean())

    def accuracy(self, rows: NDArray[np.int64] | slice = slice(None)) -> float:
        return float((self.predicted[rows] == self.truth[rows]).mean())


def draw_faces(support: Sequence[int], recall: Sequence[float], generator: np.random.Generator) -> Drawn:
    truth = np.repeat(np.arange(len(support)), support)
    return _read(truth, np.array(recall)[truth], np.arange(len(truth)), generator)


def draw_mix(support: Sequence[int], generator: np.random.Generator) -> NDArray[np.int64]:
    """As many faces, whose expressions vary."""
    return generator.multinomial(sum(support), np.array(support) / sum(support))


def draw_subjects(subjects: int, recall: float, alike: float, generator: np.random.Generator) -> Drawn:
    """Some ten faces of each, of four expressions. `alike` is the correlation of a subject's faces' being right."""
    subject = np.repeat(np.arange(subjects), generator.integers(5, 16, size=subjects))
    scale = (1 - alike) / alike
    skill = generator.beta(scale * recall, scale * (1 - recall), size=subjects)[subject]
    return _read(generator.choice(4, p=(0.55, 0.25, 0.15, 0.05), size=len(subject)), skill, subject, generator)


def _read(
    truth: NDArray[np.int64], skill: NDArray[np.float64], subject: NDArray[np.int64], generator: np.random.Generator
) -> Drawn:
    right = generator.random(len(truth)) < skill
    return Drawn(truth, np.where(right, truth, (truth + 1) % (truth.max() + 1)), subject)


def draw_confidences(
    faces: int, sharpened: float, generator: np.random.Generator, subjects: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(N, 7) probabilities, truth (N,), and the subject of each face: a subject's faces are alike in what is read."""
    logits = 2 * generator.normal(size=(faces, 7))
    subject = np.sort(generator.integers(subjects, size=faces)) if subjects else np.arange(faces)
    drawn = generator.random(faces)
    if subjects:  # half of a subject's faces share their luck
        drawn = np.where(generator.random(faces) < 0.5, generator.random(subjects)[subject], drawn)
    truth = (drawn[:, None] > _softmax(logits).cumsum(axis=1)[:, :-1]).sum(axis=1)
    return _softmax(sharpened * logits), truth, subject


def plain_ece(likely: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """In 15 bins."""
    gap = likely.max(axis=1) - (likely.argmax(axis=1) == truth)
    return float(np.abs(np.bincount((likely.max(axis=1) * 15).astype(np.int64), gap)).sum() / len(gap))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
