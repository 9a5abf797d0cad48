"""Newton's method for many logistic regressions at once, which looks at all faces as rarely as possible.

A pass over the faces gives the loss and the gradient of every regression. Their curvature comes from a sample of the
faces, whose conjugate gradients give Newton's steps; the gradients of earlier passes correct them (L-BFGS). The first
pass starts where the regressions end on the sample alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from fercache.heads import Batch
from fercache.heads._logistic import (
    FACES_AT_ONCE,
    Block,
    Doubles,
    Index,
    Moments,
    Objective,
    Reading,
    Regression,
    Report,
    Singles,
    Stack,
    dot,
    present_in,
    softmax,
)

SAMPLE = 32_768
"""Faces whose curvature stands for that of all."""

TOLERANCE = 1e-6
"""A regression is finished if its mean cross-entropy is estimated to be so close to the lowest one; the last step then
brings it closer still. 512 channels and seven expressions estimated from a million faces are off by 2e-3."""

SAMPLE_TOLERANCE = 1e-3
PASSES, SAMPLE_PASSES = 12, 9
CURVATURE_ACCURACY, MOST_PRODUCTS = 0.1, 30
ROUNDING = 1e-7
"""Of a loss."""

USUAL_PASSES, USUAL_PRODUCTS = 9, 150
"""Over the faces and over the sample; for progress."""


def fit(train: Batch, regressions: Sequence[Regression], watch: Report) -> tuple[Index, Doubles, Doubles]:
    """The expressions (K,) that occur, and for each regression weights (P, K, D) and biases (P, K).

    Weights are for raw features, or for unit ones with `l2`. `watch` is called with faces that are done, about all of
    `train` in the end.
    """
    present, report = present_in(train), Progress(len(train), watch)
    blocks = Reading(train, present, report)
    moments = Moments.of(blocks)
    stack = Stack.of(regressions, moments)
    sample = Sample.of(train, present, stack, report)
    # As weak a penalty as the sample alone can bear.
    first = replace(stack, penalty=np.maximum(stack.penalty, 1 / len(sample)))
    start = np.zeros((len(present), len(regressions), moments.sums.shape[2]))
    alone = Objective(first, sample.blocks, first.label_sums(Moments.of(sample.blocks)), moments.total)
    start = minimise(alone, sample, start, effort=Effort(SAMPLE_TOLERANCE, SAMPLE_PASSES))
    whole = Objective(stack, blocks, stack.label_sums(moments), moments.total)
    raw = stack.raw(minimise(whole, sample, start, effort=Effort(TOLERANCE, PASSES)))
    return present, raw[..., :-1].swapaxes(0, 1), raw[..., -1].T


@dataclass
class Progress:
    """Turns faces that are read, some of them many times, into faces of all `faces` that are done."""

    faces: int
    watch: Report
    read: int = 0

    def __call__(self, faces: int) -> None:
        """`faces` more are read."""
        usual, before = USUAL_PASSES * self.faces + USUAL_PRODUCTS * SAMPLE, self.read
        self.read = min(before + faces, usual)
        self.watch(self.faces * self.read // usual - self.faces * before // usual)


@dataclass(frozen=True)
class Sample:
    """Equally many faces of each expression, as far as there are, weighted by how many others they stand for.

    `values` (D + 1,) and `vectors` (D + 1, D + 1) of the second moments of scaled features, with a one, by scaling.
    """

    blocks: list[Block]
    axes: dict[str, tuple[Doubles, Doubles]]
    report: Report

    def __len__(self) -> int:
        return sum(len(block.features) for block in self.blocks)

    @classmethod
    def of(cls, train: Batch, present: Index, stack: Stack, report: Report) -> "Sample":
        """Draws SAMPLE faces; the same ones for the same labels."""
        labels = train.labels.cpu().numpy()
        rows = stratified(labels, SAMPLE)
        stands_for = np.bincount(labels) / np.maximum(np.bincount(labels[rows], minlength=labels.max() + 1), 1)
        blocks = []
        for part in np.array_split(rows, -(-len(rows) // FACES_AT_ONCE)):
            block = Block.of(train.rows(torch.from_numpy(part)), present)
            blocks.append(block._replace(shares=block.shares * stands_for[labels[part]].astype(np.float32)))
        places = {name: np.flatnonzero(stack.scaling == name)[:1] for name in np.unique(stack.scaling)}
        return cls(blocks, {name: _axes(blocks, stack.take(place)) for name, place in places.items()}, report)


def stratified(labels: Index, size: int) -> Index:
    """Rows of about `size` faces in ascending order, equally many of each label, or all where there are fewer."""
    order = np.random.default_rng(0).permutation(len(labels))
    found: list[Index] = []
    names, counts = np.unique(labels, return_counts=True)
    rarest_first = names[np.argsort(counts, kind="stable")]
    for done, name in enumerate(rarest_first):
        left = size - sum(len(rows) for rows in found)
        found.append(order[labels[order] == name][: left // (len(names) - done)])
    return np.sort(np.concatenate(found))


def _axes(blocks: Sequence[Block], stack: Stack) -> tuple[Doubles, Doubles]:
    moments, total = np.zeros(()), 0.0
    for block in blocks:
        features = block.features * block.shrink[:, None] if stack.unit[0] else block.features
        ones = np.ones((len(features), 1), np.float32)
        scaled = np.concatenate([((features - stack.centre[0]) / stack.scale[0]).astype(np.float32), ones], axis=1)
        weights = block.shares.sum(axis=0)
        moments = moments + (scaled * weights[:, None]).T @ scaled
        total += float(weights.sum())
    values, vectors = np.linalg.eigh(moments.astype(np.float64) / total)
    return np.maximum(values, 0), vectors


@dataclass(frozen=True)
class Curvature:
    """Second derivatives of a stack of regressions on a sample, for `chances` (K, P, B) of each of its blocks.

    `spread` (K, P) is the mean variance of each expression's indicator, `mass` (P,) the weight of all faces.
    """

    stack: Stack
    sample: Sample
    chances: list[Singles]
    weights: list[Singles]
    spread: Doubles
    mass: Doubles

    @classmethod
    def of(cls, stack: Stack, sample: Sample, coefficients: Doubles) -> "Curvature":
        """At the coefficients (K, P, D + 1)."""
        raw = stack.raw(coefficients)
        chances = [softmax(stack.scores(raw, block))[0] for block in sample.blocks]
        weights = [stack.weights(block) for block in sample.blocks]
        mass = np.sum([each.sum(axis=1, dtype=np.float64) for each in weights], axis=0)
        variances = (np.einsum("kpb,kpb,pb->kp", p, 1 - p, w) for p, w in zip(chances, weights, strict=True))
        return cls(stack, sample, chances, weights, spread=sum(variances) / mass, mass=mass)

    def take(self, index: Index) -> "Curvature":
        """Of some regressions."""
        chances, weights = [each[:, index] for each in self.chances], [each[index] for each in self.weights]
        return Curvature(
            self.stack.take(index), self.sample, chances, weights, spread=self.spread[:, index], mass=self.mass[index]
        )

    def times(self, steps: Doubles) -> Doubles:
        """The second derivatives times steps (K, P, D + 1)."""
        raw, found = self.stack.raw(steps), np.zeros(steps.shape)
        for block, chances, weights in zip(self.sample.blocks, self.chances, self.weights, strict=True):
            change = self.stack.scores(raw, block)
            change *= chances
            change -= chances * change.sum(axis=0)
            change *= weights
            found += self.stack.gathered(change, block)
            self.sample.report(len(block.features))
        return self.stack.scaled(found) / self.mass[:, None] + self.stack.shrunk(steps)

    def roughly_solve(self, gradient: Doubles) -> Doubles:
        """The same as if every face had the mean variance; the expressions' mean stays zero, as in a gradient."""
        found = np.empty_like(gradient)
        for name, (values, vectors) in self.sample.axes.items():
            mine = self.stack.scaling == name
            along = self.spread[:, mine, None] * values + np.maximum(self.stack.penalty[mine], 1e-9)[:, None]
            found[:, mine] = (gradient[:, mine] @ vectors / along) @ vectors.T
        return np.asarray(found - found.mean(axis=0))

    def solve(self, gradient: Doubles) -> Doubles:
        """The steps (K, P, D + 1) whose product is about `gradient`, by preconditioned conjugate gradients."""
        steps, rest = np.zeros_like(gradient), gradient.copy()
        direction = self.roughly_solve(rest)
        size = dot(rest, direction)
        goal, left, part = CURVATURE_ACCURACY**2 * size, np.arange(len(size)), self
        for _ in range(MOST_PRODUCTS):
            product = part.times(direction[:, left])
            length = size[left] / dot(direction[:, left], product)
            steps[:, left] += length[:, None] * direction[:, left]
            rest[:, left] -= length[:, None] * product
            turned = part.roughly_solve(rest[:, left])
            new = dot(rest[:, left], turned)
            direction[:, left] = turned + (new / size[left])[:, None] * direction[:, left]
            size[left] = new
            if not (unfinished := new > goal[left]).any():
                break
            left, part = left[unfinished], part if unfinished.all() else part.take(np.flatnonzero(unfinished))
        return steps


class Effort(NamedTuple):
    """When to stop: at an expected gain below `tolerance`, or after `passes`."""

    tolerance: float
    passes: int


@dataclass
class Changes:
    """What each pass has shown of the curvature on all faces: steps and changes of the gradient, (K, P, D + 1) each."""

    pairs: list[tuple[Doubles, Doubles, Doubles]] = field(default_factory=list)

    def add(self, step: Doubles, change: Doubles) -> None:
        """A pass; steps are zero where there was none."""
        curved = dot(step, change)
        self.pairs.append((step, change, np.divide(1, curved, out=np.zeros_like(curved), where=curved > 1e-14)))

    def newton(self, gradient: Doubles, index: Index, solve: Callable[[Doubles], Doubles]) -> Doubles:
        """`solve(gradient)` for the regressions `index`, corrected (Nocedal and Wright, algorithm 7.4)."""
        pairs = [(step[:, index], change[:, index], inverse[index]) for step, change, inverse in self.pairs]
        rest, shares = gradient.copy(), []
        for step, change, inverse in reversed(pairs):
            shares.append(inverse * dot(step, rest))
            rest -= shares[-1][:, None] * change
        found = solve(rest)
        for (step, change, inverse), share in zip(pairs, reversed(shares), strict=True):
            found += (share - inverse * dot(change, found))[:, None] * step
        return found


def minimise(objective: Objective, sample: Sample, start: Doubles, effort: Effort) -> Doubles:
    """Coefficients (K, P, D + 1) of each regression, from `start` on.

    A step that does not lower the value is cut to a quarter. The last one of a finished regression is not tried.
    """
    best, step, slopes = start, np.zeros_like(start), np.zeros_like(start)
    count = start.shape[1]
    value, gain, left, changes = np.full(count, np.inf), np.zeros(count), np.arange(count), Changes()
    for number in range(effort.passes):
        here = best[:, left] + step[:, left]
        found, slope = objective.take(left).at(here)
        if number:
            taken, change = np.zeros_like(start), np.zeros_like(start)
            taken[:, left], change[:, left] = step[:, left], slope - slopes[:, left]
            changes.add(taken, change)
        lower = found <= value[left] - 1e-4 * gain[left] + ROUNDING
        step[:, left[~lower]] /= 4
        gain[left[~lower]] /= 4
        ahead = left[lower]
        best[:, ahead], value[ahead], slopes[:, ahead] = here[:, lower], found[lower], slope[:, lower]
        if len(ahead):
            curvature = Curvature.of(objective.stack.take(ahead), sample, best[:, ahead])
            step[:, ahead] = -changes.newton(slope[:, lower], ahead, curvature.solve)
            gain[ahead] = -dot(step[:, ahead], slope[:, lower]) / 2
        done = ahead[gain[ahead] <= effort.tolerance]
        best[:, done] += step[:, done]
        left = np.setdiff1d(left, done)
        if not len(left):
            break
    return best
