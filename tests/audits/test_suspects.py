"""Wrong labels are found, right ones left alone."""

import numpy as np

from fercache.audits.suspects import BELIEVED, CONTRADICTED, suspect_labels

DIMENSION = 16
CENTRES = 2 * np.random.default_rng(0).normal(size=(4, DIMENSION))


def made_faces(per_class: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Faces of the labels 0, 2 and 3 that are easily distinguished."""
    index = np.array([0, 2, 3]).repeat(per_class)
    return CENTRES[index] + np.random.default_rng(1).normal(size=(len(index), DIMENSION)), index


def test_clean_labels_are_believed() -> None:
    assert len(suspect_labels(*made_faces()).row) == 0


def test_planted_wrong_labels_are_found_and_corrected() -> None:
    features, truth = made_faces()
    wrong = np.array([3, 59, 70, 130, 171])
    index = truth.copy()
    index[wrong] = np.array([2, 3, 0, 0, 2])
    found = suspect_labels(features, index)
    assert sorted(found.row) == wrong.tolist()
    assert found.suggested.tolist() == truth[found.row].tolist()
    assert (found.of_label < BELIEVED).all()
    assert (found.of_suggested > CONTRADICTED).all()


def test_the_clearest_contradictions_come_first() -> None:
    """A face between two expressions, wrongly labelled, is less sure than planted ones in the middle of another."""
    features, truth = made_faces()
    index = truth.copy()
    index[[5, 65, 125]] = [2, 0, 0]
    features[5] = 0.6 * CENTRES[0] + 0.4 * CENTRES[2]
    found = suspect_labels(features, index)
    assert set(found.row[:2]) == {65, 125}
    margins = found.of_label - found.of_suggested
    assert (np.diff(margins) >= 0).all()


def test_expressions_with_few_faces_are_left_alone() -> None:
    features, index = made_faces()
    few = np.array([0, 1, 60, 120])
    index[few] = 1  # four faces from all over the place
    found = suspect_labels(features, index)
    assert not set(found.row) & set(few)
    assert 1 not in found.suggested


def test_a_single_expression_cannot_be_doubted() -> None:
    features, index = made_faces()
    for one in (
        (features[index == 2], index[index == 2]),
        (features[:0], index[:0]),
        (features[:3], index[[0, 60, 120]]),
    ):
        found = suspect_labels(*one)
        assert len(found.row) == len(found.suggested) == len(found.of_label) == len(found.of_suggested) == 0


def test_the_same_twice() -> None:
    features, index = made_faces()
    index[[1, 80]] = index[[80, 1]]
    one, other = suspect_labels(features, index), suspect_labels(features, index)
    np.testing.assert_array_equal(one.row, other.row)
    np.testing.assert_array_equal(one.of_label, other.of_label)
