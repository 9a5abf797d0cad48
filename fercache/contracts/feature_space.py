"""Small random features with separable expressions, each near its text embedding."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from fercache.expressions import EXPRESSIONS
from fercache.heads import Batch, Task

SEVEN = EXPRESSIONS[:7]
DIMENSION = 48
LOGIT_SCALE = 100.0
NORM = 10.0


@cache
def text_of(expression: str) -> Tensor:
    """(D,) the expression's text embedding, independent of the order of expressions."""
    generator = torch.Generator().manual_seed(EXPRESSIONS.index(expression))
    return NORM * torch.nn.functional.normalize(torch.randn(DIMENSION, generator=generator), dim=0)


def task(expressions: Sequence[str] = SEVEN, with_text: bool = True) -> Task:
    """The task of classifying `expressions`."""
    if not with_text:
        return Task(tuple(expressions), DIMENSION)
    return Task(tuple(expressions), DIMENSION, torch.stack([text_of(e) for e in expressions]), LOGIT_SCALE)


def faces(
    count: int, seed: int, expressions: Sequence[str] = SEVEN, shown: Sequence[str] = SEVEN, soft: bool = False
) -> Batch:
    """`count` faces that cycle through the expressions `shown`, labelled by their indices in `expressions`.

    The features do not depend on the order of `expressions`. `soft` spreads a fifth of each label over all of them.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, DIMENSION, generator=generator) * NORM / DIMENSION**0.5
    names = [shown[i % len(shown)] for i in range(count)]
    features = 0.8 * torch.stack([text_of(name) for name in names]) + noise
    labels = torch.tensor([tuple(expressions).index(name) for name in names])
    distribution = None
    if soft:
        one_hot = torch.nn.functional.one_hot(labels, len(expressions)).float()
        distribution = 0.8 * one_hot + 0.2 / len(expressions)
    return Batch(features, labels=labels, distribution=distribution)
