"""Faces that are drawn at random with known skills."""

import numpy as np
from numpy.typing import NDArray

SUPPORT = (160, 60, 80)


CONFUSION = np.array([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
"""Probability of each prediction, by true class."""


def draw_faces(generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    truth = np.repeat(np.arange(3), SUPPORT)
    predicted = np.concatenate([generator.choice(3, size=n, p=CONFUSION[k]) for k, n in enumerate(SUPPORT)])
    return truth, predicted


def draw_persons(generator: np.random.Generator, persons: int = 60) -> tuple[NDArray[np.int64], ...]:
    """Truth, prediction and person of faces: people who are hard to read are so on all of about ten faces."""
    person = np.repeat(np.arange(persons), generator.integers(5, 16, size=persons))
    hit = generator.beta(3, 2, size=persons)[person]
    truth = generator.integers(3, size=len(person))
    wrong = (truth + generator.integers(1, 3, size=len(person))) % 3
    return truth, np.where(generator.random(len(person)) < hit, truth, wrong), person


def named(person: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([f"p{k}" for k in person], dtype=object)
