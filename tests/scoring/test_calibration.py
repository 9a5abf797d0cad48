"""Calibration and abstention against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from fercache.scoring.calibration import Cut, calibration, cut_at, probabilities, risk_coverage
from fercache.scoring.comparison import face_units
from tests.coverage.designs import SHARPENED, draw_confidences, plain_ece

LOGITS = st.lists(st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4), min_size=1, max_size=40)


def drawn_probabilities(seed: int, faces: int = 400) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """With 5 classes, and a truth that follows the probabilities: these are calibrated."""
    generator = np.random.default_rng(seed)
    likely = generator.dirichlet(np.full(5, 0.4), size=faces)
    return likely, (generator.random((faces, 1)) > likely.cumsum(axis=1)[:, :-1]).sum(axis=1)


def test_calibration_is_that_of_a_plain_loop() -> None:
    likely, truth = drawn_probabilities(24)
    found = calibration(likely, truth, bins=10)
    ece = 0.0
    for k in range(10):
        inside = [(p.max(), p.argmax() == y) for p, y in zip(likely, truth, strict=True) if k < 10 * p.max() <= k + 1]
        assert found.faces[k] == len(inside)
        if inside:
            confident, right = np.mean(inside, axis=0)
            assert (found.confidence[k], found.accuracy[k]) == pytest.approx((confident, right))
            ece += len(inside) / len(truth) * abs(confident - right)
        else:
            assert found.confidence[k] is found.accuracy[k] is None
    assert found.ece == pytest.approx(ece)


def test_calibrated_probabilities_have_a_small_error_and_sharpened_ones_a_large_one() -> None:
    likely, truth = drawn_probabilities(25, faces=20_000)
    sharp = likely**3 / (likely**3).sum(axis=1, keepdims=True)
    assert calibration(likely, truth).ece < 0.02 < 0.1 < calibration(sharp, truth).ece
    certain = np.eye(5)[truth]
    assert calibration(certain, truth).ece == 0
    assert calibration(certain, (truth + 1) % 5).ece == 1
    assert calibration(certain, truth).faces == (0,) * 14 + (20_000,)


def test_a_bin_holds_its_upper_edge() -> None:
    likely = np.array([[0.5, 0.5], [0.75, 0.25], [0.76, 0.24], [1, 0]])
    assert calibration(likely, np.zeros(4, dtype=np.int64), bins=4).faces == (0, 1, 1, 2)


def test_risk_is_that_of_the_most_confident_faces() -> None:
    likely, truth = drawn_probabilities(26)
    found = risk_coverage(likely, truth, points=8)
    order = sorted(range(400), key=lambda i: -likely[i].max())
    wrong = [likely[i].argmax() != truth[i] for i in order]
    risks = [np.mean(wrong[:n]) for n in range(1, 401)]
    assert found.coverage == tuple(n / 8 for n in range(1, 9))
    assert found.risk == pytest.approx([risks[50 * n - 1] for n in range(1, 9)])
    assert found.area == pytest.approx(np.mean(risks))
    assert found.risk[0] < found.risk[-1] == pytest.approx((likely.argmax(axis=1) != truth).mean())


def test_fewer_faces_than_points_are_covered_one_by_one() -> None:
    likely, truth = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1])
    assert risk_coverage(likely, truth, points=4).risk == (0, 0, 0.5, 0.5)


def test_equal_confidence_shares_its_risk_whatever_the_order_of_the_faces() -> None:
    generator = np.random.default_rng(27)
    confidence = generator.choice([0.6, 0.7, 0.8], size=100)
    likely, truth = np.stack([confidence, 1 - confidence], axis=1), generator.integers(2, size=100)
    found = risk_coverage(likely, truth)
    for _ in range(20):
        order = generator.permutation(100)
        assert risk_coverage(likely[order], truth[order]) == found
    alike = risk_coverage(np.full((100, 2), 0.5), np.repeat([0, 1], [75, 25]))
    assert alike.risk == (0.25,) * 20 and alike.area == 0.25


@given(LOGITS, st.lists(st.booleans(), min_size=4, max_size=4).filter(any), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_any_logits_give_probabilities_and_measures_within_bounds(
    logits: list[list[float]], known: list[bool], parts: int
) -> None:
    mask = np.array(known)
    likely = probabilities(np.array(logits, dtype=np.float32), mask)
    assert likely.dtype == np.float64 and not likely[:, ~mask].any()
    assert likely[:, mask] == pytest.approx(special.softmax(np.array(logits)[:, mask], axis=1), abs=1e-12)
    truth = np.arange(len(logits)) % 4
    calibrated, abstained = calibration(likely, truth, bins=parts), risk_coverage(likely, truth, points=parts)
    assert sum(calibrated.faces) == len(logits) and len(calibrated.faces) == parts
    assert 0 <= calibrated.interval[0] <= calibrated.ece <= calibrated.interval[1] <= 1
    assert 0 <= abstained.area <= 1
    assert all(0 <= each <= 1 for each in (*abstained.risk, *filter(None, calibrated.confidence)))
    right = likely.argmax(axis=1) == truth
    assert abstained.risk[-1] == pytest.approx(1 - right.mean())


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_logits_must_be_finite_and_an_expression_known(broken: float) -> None:
    logits = np.zeros((3, 2))
    with pytest.raises(ValueError, match="there is none"):
        probabilities(logits, np.zeros(2, dtype=bool))
    logits[1, 0] = broken
    with pytest.raises(ValueError, match="those of 1 of 3 faces are not"):
        probabilities(logits, np.ones(2, dtype=bool))


def test_large_logits_do_not_overflow() -> None:
    assert probabilities(np.array([[1e4, -1e4, 9e3]]), np.ones(3, dtype=bool)).tolist() == [[1, 0, 0]]


def test_measures_need_a_face() -> None:
    none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    for measure in (calibration, risk_coverage):
        with pytest.raises(ValueError, match="no face"):
            measure(empty, none)
    with pytest.raises(ValueError, match="no face"):
        face_units(none, "mean_class_recall")


def error_of_very_many_faces(sharpened: float) -> float:
    likely, truth, _ = draw_confidences(300_000, sharpened, np.random.default_rng(3))
    return plain_ece(likely, truth)


@pytest.mark.parametrize("sharpened", SHARPENED)
@pytest.mark.parametrize(("faces", "subjects"), [(30, 0), (400, 0), (400, 15)])
def test_intervals_of_the_error_hold_that_of_very_many_faces(sharpened: str, faces: int, subjects: int) -> None:
    true, generator = error_of_very_many_faces(SHARPENED[sharpened]), np.random.default_rng(0)
    held, found = [], []
    for _ in range(120):
        likely, truth, subject = draw_confidences(faces, SHARPENED[sharpened], generator, subjects)
        names = np.array([f"p{each}" for each in subject], dtype=object) if subjects else None
        measured = calibration(likely, truth, names)
        held.append(measured.interval[0] <= true <= measured.interval[1])
        found.append(measured.ece)
    assert np.mean(held) >= 0.90  # 95 %, and two and a half standard errors of 120 draws
    assert np.mean(found) > true  # by chance, hence an interval that is not around what was found


def test_the_interval_of_the_error_is_narrower_with_more_faces_and_reaches_zero_where_there_is_none() -> None:
    few, many = (calibration(*drawn_probabilities(28, faces)).interval for faces in (200, 20_000))
    assert few[0] == many[0] == 0 and many[1] < 0.02 < few[1]
    likely, truth = drawn_probabilities(28, 2000)
    sharp = likely**3 / (likely**3).sum(axis=1, keepdims=True)
    low, high = calibration(sharp, truth).interval
    assert 0.1 < low < calibration(sharp, truth).ece < high < 0.25


def test_that_no_face_is_wrong_does_not_make_the_error_certain() -> None:
    truth = np.arange(30) % 5
    assert calibration(np.eye(5)[truth], truth).interval == (0, pytest.approx(3.84 / 33.84, abs=1e-3))
    same = np.full(30, "she", dtype=object)
    assert calibration(np.eye(5)[truth], truth, same).interval == (0, 1)


def test_faces_of_few_subjects_make_the_interval_wider() -> None:
    likely, truth, subject = draw_confidences(400, 1.6, np.random.default_rng(5), 15)
    names = np.array([f"p{each}" for each in subject], dtype=object)
    (low, high), (least, most) = calibration(likely, truth).interval, calibration(likely, truth, names).interval
    assert least < low < high < most


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_cut_answers_as_many_faces_as_the_risk_allows(faces: list[tuple[int, bool]], risk: float) -> None:
    confidence = np.array([0.5 + level / 20 for level, _ in faces])
    shares = np.column_stack([confidence, 1 - confidence])
    truth = np.array([0 if right else 1 for _, right in faces])
    cut = cut_at(shares, truth, risk)
    answered = confidence >= cut.confidence
    assert cut.coverage == pytest.approx(answered.mean())
    assert cut.risk == pytest.approx(truth[answered].mean())
    bounds = {
        level: (truth[confidence >= level].sum() + 1) / ((confidence >= level).sum() + 1) for level in set(confidence)
    }
    assert cut.bound == pytest.approx(bounds[cut.confidence])
    allowed = [level for level, bound in bounds.items() if bound <= risk]
    assert cut.confidence == min(allowed) if allowed else cut.bound == pytest.approx(min(bounds.values()))


def test_few_faces_without_an_error_are_no_certainty() -> None:
    shares, truth = np.tile([0.9, 0.1], (9, 1)), np.zeros(9, int)
    assert cut_at(shares, truth, 0.1) == Cut(confidence=0.9, coverage=1.0, risk=0.0, bound=0.1)
    assert cut_at(shares, truth, 0.05).bound > 0.05
    with pytest.raises(ValueError, match="face"):
        cut_at(shares[:0], truth[:0], 0.1)
