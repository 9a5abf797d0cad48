"""Gaussian discriminant analysis, against scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch
from fercache.heads import gda as module
from fercache.heads.gda import SHRINKAGES, Gda, GdaSettings, Moments
from fercache.trunks import Faces


def fitted(train: Batch, **settings: object) -> Gda:
    """With the first candidate."""
    head = Gda(task(with_text=False), GdaSettings.model_validate(settings))
    next(head.candidates(train, 0))
    return head


def unit(batch: Batch) -> np.ndarray:
    rows = batch.features.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("shrinkage", [1.0, 0.5, 0.03])
@pytest.mark.parametrize("prior", ["flat", "source"])
def test_posteriors_are_those_of_scikit_learn(shrinkage: float, prior: str) -> None:
    shown = SEVEN if prior == "flat" else ("happiness", "happiness", *SEVEN)
    train, test = faces(210 if prior == "flat" else 207, 1, shown=shown), faces(35, 3)
    priors = np.full(7, 1 / 7) if prior == "flat" else None
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=priors)
    reference.fit(unit(train), train.labels.numpy())
    found = fitted(train, shrinkage=shrinkage, prior=prior).logits(test).softmax(1)
    np.testing.assert_allclose(found.numpy(), reference.predict_proba(unit(test)), atol=1e-3)


def test_every_shrinkage_is_a_candidate_the_most_first() -> None:
    tried = list(Gda(task(), GdaSettings()).candidates(faces(70, 1), 0))
    assert [candidate["shrinkage"] for candidate in tried] == list(SHRINKAGES) == sorted(SHRINKAGES, reverse=True)
    assert len(list(Gda(task(), GdaSettings(shrinkage=0.2)).candidates(faces(70, 1), 0))) == 1


def test_complete_shrinkage_is_the_nearest_mean() -> None:
    train, test = faces(140, 1), faces(70, 3)
    means = np.stack([unit(train)[train.labels.numpy() == k].mean(axis=0) for k in range(7)])
    nearest = ((unit(test)[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (fitted(train, shrinkage=1).logits(test).argmax(1).numpy() == nearest).all()


def test_soft_labels_count_a_face_once_per_expression() -> None:
    train, test = faces(70, 1), faces(35, 3)
    other = (train.labels + 1) % 7
    halves = (torch.nn.functional.one_hot(train.labels, 7) + torch.nn.functional.one_hot(other, 7)) / 2
    twice = Batch(torch.cat([train.features] * 2), labels=torch.cat([train.labels, other]))
    one, two = fitted(replace(train, distribution=halves), shrinkage=0.3), fitted(twice, shrinkage=0.3)
    torch.testing.assert_close(one.logits(test), two.logits(test), rtol=1e-4, atol=1e-3)


def test_a_class_weight_of_two_counts_the_faces_twice() -> None:
    train, test = faces(70, 1), faces(35, 3)
    weights = torch.ones(7)
    weights[2] = 2
    again = train.rows((train.labels == 2).nonzero().flatten())
    repeated = Batch(torch.cat([train.features, again.features]), labels=torch.cat([train.labels, again.labels]))
    weighted = fitted(replace(train, class_weights=weights), prior="source", shrinkage=0.3)
    expected = fitted(repeated, prior="source", shrinkage=0.3).logits(test)
    torch.testing.assert_close(weighted.logits(test), expected, rtol=1e-4, atol=1e-3)


def test_weaker_expressions_move_the_boundary_towards_the_mean_of_all() -> None:
    """With strength r, a face is as likely of two expressions half-way between their means, drawn in by r."""
    train = faces(140, 1)
    moments = Moments.of(train, 7)
    for strength in (1.0, 0.5):
        head = fitted(train, shrinkage=1, strength=strength)
        drawn_in = moments.centre + strength * (moments.means - moments.centre)
        middle = torch.from_numpy((drawn_in[0] + drawn_in[1]) / 2).float()
        logits = (middle @ head.weight.T + head.bias)[:2]
        torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shrinkage", SHRINKAGES)
def test_an_expression_that_the_source_lacks_is_never_named(shrinkage: float) -> None:
    head = fitted(faces(60, 1, shown=("fear", "anger")), shrinkage=shrinkage, prior="source")
    logits = head.logits(faces(70, 3))
    assert torch.isfinite(logits).all()
    assert {SEVEN[k] for k in logits.argmax(1)} <= {"fear", "anger"}


def test_a_single_face_of_an_expression_is_enough() -> None:
    assert torch.isfinite(fitted(faces(7, 1)).logits(faces(7, 3))).all()
    assert torch.isfinite(fitted(faces(7, 1), shrinkage=0.01).logits(faces(7, 3))).all()


def test_a_faces_norm_says_nothing() -> None:
    train, test = faces(140, 1), faces(35, 3)
    dark = Batch(train.features * torch.linspace(0.2, 5, 140)[:, None], labels=train.labels)
    found = fitted(dark, shrinkage=0.1).logits(test)
    torch.testing.assert_close(
        found, fitted(train, shrinkage=0.1).logits(Faces(3 * test.features)), rtol=1e-3, atol=1e-2
    )


def test_parts_of_the_faces_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Moments.of(faces(100, 1), 7)
    monkeypatch.setattr(module, "FACES_AT_ONCE", 16)
    parts = Moments.of(faces(100, 1), 7)
    for one, two in ((whole.mass, parts.mass), (whole.means, parts.means), (whole.within, parts.within)):
        np.testing.assert_allclose(one, two, atol=1e-12)


def test_the_deviation_is_that_of_all_logits() -> None:
    train = faces(100, 1, shown=("fear", "anger", "anger", "neutral"))
    head, present = fitted(train, shrinkage=0.1), sorted(set(train.labels.tolist()))
    deviation = Moments.of(train, 7).deviation(head.weight.double().numpy(), head.bias.double().numpy())
    logits = head.logits(train)[:, present]
    assert deviation == pytest.approx(float(logits.std(correction=0)), rel=1e-3)
