"""The residual linear map, against another optimiser of the same sum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from fercache.contracts.feature_space import DIMENSION, LOGIT_SCALE, SEVEN, faces, task, text_of
from fercache.heads import Batch, HeadSettings
from fercache.heads.rla import PENALTIES, Rla
from fercache.heads.zero_shot import ZeroShot


def fitted(train: Batch, penalty: float) -> Rla:
    head = Rla(task(), HeadSettings())
    next(candidate for candidate in head.candidates(train, 0) if candidate["penalty"] == penalty)
    return head


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


TEXT = unit(np.stack([text_of(expression).double().numpy() for expression in SEVEN]))


def objective(flat: np.ndarray, x: np.ndarray, target: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """The sum to minimise and its gradient, for directions x (N, D) and target shares (N, L)."""
    full = flat.reshape(DIMENSION, DIMENSION)
    mapped = x @ full.T
    length = np.linalg.norm(mapped, axis=1, keepdims=True)
    cosines = mapped / length @ TEXT.T
    logits = LOGIT_SCALE * cosines
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    residual = full - np.eye(DIMENSION)
    value = -(target * log_p).sum() / len(x) + penalty * (residual**2).sum() / len(SEVEN)
    error = LOGIT_SCALE * (np.exp(log_p) - target) / len(x)
    slope = (error @ TEXT - (error * cosines).sum(axis=1, keepdims=True) * mapped / length) / length
    return value, (slope.T @ x + 2 * penalty * residual / len(SEVEN)).ravel()


@pytest.mark.parametrize("penalty", [10.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_no_other_map_has_a_smaller_sum(penalty: float, soft: bool) -> None:
    train = faces(140, 1, soft=soft)
    x = unit(train.features.double().numpy())
    target = np.eye(7)[train.labels.numpy()] if train.distribution is None else train.distribution.double().numpy()
    start = np.eye(DIMENSION).ravel()
    best = minimize(objective, start, (x, target, penalty), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    found, _ = objective(fitted(train, penalty).map.double().numpy().ravel(), x, target, penalty)
    assert found == pytest.approx(best.fun, rel=0.01, abs=1e-4)
    assert found < 0.9 * objective(start, x, target, penalty)[0] or penalty == 10.0


def test_the_most_regular_map_is_nearest_to_the_text_alone() -> None:
    train, test = faces(140, 1), faces(70, 3)
    plain = ZeroShot(task(), HeadSettings()).logits(test)
    head = Rla(task(), HeadSettings())
    distances = [float((head.logits(test) - plain).abs().max()) for _ in head.candidates(train, 0)]
    assert distances == sorted(distances) and len(distances) == len(PENALTIES)
    assert torch.equal(Rla(task(), HeadSettings()).logits(test), plain), "before training"


def test_class_weights_count() -> None:
    train = faces(140, 1)
    weighted = fitted(replace(train, class_weights=torch.tensor([9.0, 1, 1, 1, 1, 1, 1])), 1.0)
    named = [int((head.logits(faces(210, 3)).argmax(1) == 0).sum()) for head in (weighted, fitted(train, 1.0))]
    assert named[0] >= named[1] and not torch.equal(weighted.map, fitted(train, 1.0).map)


def test_an_expression_that_the_source_lacks_leaves_finite_logits() -> None:
    assert torch.isfinite(fitted(faces(60, 1, shown=("fear", "anger")), PENALTIES[-1]).logits(faces(70, 3))).all()
