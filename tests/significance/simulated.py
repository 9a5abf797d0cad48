"""Runs that are drawn: what they read right has known effects of faces, seeds, subjects and methods.

A face is read right where a normal variable is below a threshold (a probit model). It is the sum of how hard the face
is, of what a method and a seed make of it, and of an effect of the seed on all faces, and on those of an expression:
seeds move the boundaries between expressions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from fercache.scoring.comparison import Runs, Units, difference, face_units, target_units

SKILL = 0.7
SHARES = {"equal": (1 / 7,) * 7, "rare": (0.4, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01)}
"""Of the expressions. The rarest has two faces at least."""

_FACE_BY_SEED, _METHOD_BY_FACE, _PERSON = 0.6, 0.4, 0.5
_ON_ALL, _ON_EXPRESSION = 0.7, 1.9  # together a standard deviation of 1 in accuracy, where expressions are equal


@dataclass(frozen=True)
class Case:
    """`sd` is that of accuracy between seeds, `gain` the true difference: both in points.

    `alike`: both sides are one method. `fixed`: the baseline has nothing random. `persons`: ten faces each.
    """

    faces: int = 1000
    seeds: int = 3
    sd: float = 0.0
    metric: Literal["accuracy", "mean_class_recall"] = "accuracy"
    shares: Literal["equal", "rare"] = "equal"
    gain: float = 0.0
    alike: bool = True
    fixed: bool = False
    persons: bool = False

    @property
    def truth(self) -> NDArray[np.int64]:
        """(N,) expressions; the most frequent one takes what rounding leaves."""
        counts = np.maximum(np.floor(np.array(SHARES[self.shares]) * self.faces), 2).astype(int)
        counts[0] += self.faces - counts.sum()
        return np.repeat(np.arange(len(counts)), counts)


@dataclass(frozen=True)
class Draws:
    """What both methods have in common: the faces' expressions, who is shown, and how hard each is."""

    case: Case
    truth: NDArray[np.int64]
    person: NDArray[np.int64]
    hard: NDArray[np.float64]

    def runs(self, generator: np.random.Generator, *, gain: float = 0.0, fixed: bool = False) -> Runs:
        """One method's."""
        case, faces = self.case, len(self.truth)
        seeds, sd = (1, 0.0) if fixed else (case.seeds, case.sd / 100)
        own = 0.0 if case.alike else _METHOD_BY_FACE
        taste = np.sqrt(_PERSON) if case.persons else 0.0
        quirk = np.sqrt(1 - taste**2)
        at = norm.ppf(SKILL)
        still = 1 + own**2 + _FACE_BY_SEED**2
        # An effect of x points is one of x / slope on the variable, of which it is a part itself.
        effects = (_ON_ALL**2 + _ON_EXPRESSION**2) * sd**2 / norm.pdf(at) ** 2
        total = np.sqrt(still / (1 - effects))
        scale = sd * total / norm.pdf(at)
        people = self.person.max() + 1
        method = own * (
            quirk * generator.standard_normal(faces) + taste * generator.standard_normal(people)[self.person]
        )
        single = quirk * generator.standard_normal((seeds, faces))
        single += taste * generator.standard_normal((seeds, people))[:, self.person]
        moved = _ON_ALL * generator.standard_normal((seeds, 1))
        moved = moved + _ON_EXPRESSION * generator.standard_normal((seeds, self.truth.max() + 1))[:, self.truth]
        variable = self.hard + method + _FACE_BY_SEED * single + scale * moved
        return Runs((variable < total * norm.ppf(SKILL + gain)).astype(float), seeded=not fixed)


def draw(case: Case, generator: np.random.Generator) -> tuple[Runs, Runs, Draws]:
    """Two methods on the same faces, the first better by the case's gain."""
    truth = case.truth
    person = generator.permutation(len(truth)) // 10 if case.persons else np.arange(len(truth))
    hard = generator.standard_normal(len(truth))
    if case.persons:
        hard = np.sqrt(1 - _PERSON) * hard + np.sqrt(_PERSON) * generator.standard_normal(person.max() + 1)[person]
    both = Draws(case, truth, person, hard)
    return both.runs(generator, gain=case.gain / 100), both.runs(generator, fixed=case.fixed), both


def units_of(draws: Draws) -> Units:
    """What is drawn in the test."""
    names = np.array([f"p{k}" for k in draws.person], dtype=object) if draws.case.persons else None
    return face_units(draws.truth, draws.case.metric, names)


def p_value(case: Case, generator: np.random.Generator) -> float:
    """Of one experiment."""
    a, b, both = draw(case, generator)
    return difference(a, b, units_of(both)).p


def rejected(case: Case, trials: int, seed: int) -> float:
    """The share of experiments with p < 0.05: the size of the test without a gain, its power with one."""
    generator = np.random.default_rng(seed)
    return float(np.mean([p_value(case, generator) < 0.05 for _ in range(trials)]))


def rejected_over_targets(targets: int, seeds: int, sd: float, gain: float, trials: int, seed: int) -> float:
    """The same of the summary over targets, whose gains differ by 1.5 points, and whose seeds agree in part."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(trials):
        true = (gain + 1.5 * generator.standard_normal(targets)) / 100
        a, b = (
            SKILL
            + (sd / 100) * generator.standard_normal((seeds, 1))
            + (0.5 * sd / 100 + 0.01) * generator.standard_normal((seeds, targets))
            for _ in range(2)
        )
        found.append(difference(Runs(a + true), Runs(b), target_units(targets)).p < 0.05)
    return float(np.mean(found))
