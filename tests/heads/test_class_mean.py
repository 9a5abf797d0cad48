"""The nearest class mean, against a computation in numpy."""

import numpy as np
import torch

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch, HeadSettings
from fercache.heads.class_mean import SCALE, ClassMean
from fercache.trunks import Faces


def fitted(train: Batch) -> ClassMean:
    head = ClassMean(task(with_text=False), HeadSettings())
    assert list(head.candidates(train, 0)) == [{}]
    return head


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_logits_are_scaled_cosines_with_the_mean_directions() -> None:
    train, test = faces(140, 1), faces(35, 3)
    directions = unit(train.features.numpy())
    means = unit(np.stack([directions[train.labels.numpy() == k].mean(axis=0) for k in range(len(SEVEN))]))
    expected = SCALE * unit(test.features.numpy()) @ means.T
    np.testing.assert_allclose(fitted(train).logits(test).numpy(), expected, atol=1e-4)


def test_a_faces_norm_says_nothing() -> None:
    train, test = faces(140, 1), faces(35, 3)
    dark = Batch(train.features * torch.linspace(0.2, 5, 140)[:, None], labels=train.labels)
    torch.testing.assert_close(fitted(dark).logits(test), fitted(train).logits(Faces(3 * test.features)))


def test_a_soft_label_counts_for_each_expression_that_it_names() -> None:
    train = faces(21, 1, soft=True)
    assert train.distribution is not None
    expected = train.distribution.T @ torch.nn.functional.normalize(train.features, dim=1)
    torch.testing.assert_close(fitted(train).means, expected / train.distribution.sum(0)[:, None])


def test_an_expression_that_the_source_lacks_is_never_named() -> None:
    head = fitted(faces(60, 1, shown=("fear", "anger")))
    assert {SEVEN[k] for k in head.logits(faces(70, 3)).argmax(1)} <= {"fear", "anger"}
