"""One rater against the majority of the others."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.audits.raters import Rerated, annotator_ceiling, rerated
from fercache.expressions import EXPRESSIONS

NAMES = ("happiness", "sadness", "unknown")
UNKNOWN_TO_THE_FILE = (-1, -1, -1)


def votes(*rows: tuple[int, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.int16).reshape(-1, len(NAMES))


def test_by_hand() -> None:
    found = annotator_ceiling(
        votes(
            (3, 1, 0),  # all four see happiness among the others, three said so
            (2, 2, 0),  # everybody sees the other half win, and is wrong
            (0, 3, 1),  # all four see sadness, three said so
            (4, 0, 0),
            (0, 0, 5),  # no rater sees an expression
            (1, 1, 1),  # no majority
            UNKNOWN_TO_THE_FILE,
        ),
        NAMES,
        EXPRESSIONS,
    )
    assert found is not None
    assert found.n == 4 + 4 + 4 + 4
    assert found.accuracy == (3 + 3 + 4) / 16
    assert found.recall == {"happiness": 7 / 10, "sadness": 3 / 6}
    assert found.mean_class_recall == pytest.approx((7 / 10 + 3 / 6) / 2)


def test_unanimous_raters_are_perfect() -> None:
    found = annotator_ceiling(votes((10, 0, 0), (0, 10, 0), (2, 0, 0)), NAMES, EXPRESSIONS)
    assert found is not None
    assert (found.accuracy, found.mean_class_recall, found.n) == (1, 1, 22)


def test_an_expression_without_a_majority_has_no_recall() -> None:
    found = annotator_ceiling(votes((5, 0, 0)), NAMES, EXPRESSIONS)
    assert found is not None
    assert found.recall == {"happiness": 1, "sadness": None}
    assert found.mean_class_recall == 1


@pytest.mark.parametrize("rows", [[], [UNKNOWN_TO_THE_FILE], [(1, 0, 0)], [(0, 0, 9)]])
def test_without_any_majority_there_is_nothing_to_say(rows: list[tuple[int, int, int]]) -> None:
    assert annotator_ceiling(votes(*rows), NAMES, EXPRESSIONS) is None


@given(st.lists(st.tuples(*[st.integers(0, 4)] * len(NAMES)), max_size=8))
def test_a_loop_over_raters_says_the_same(rows: list[tuple[int, ...]]) -> None:
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in rows:
        said = [name for name, count in zip(NAMES, row, strict=True) for _ in range(count)]
        for rater, answer in enumerate(said):
            others = Counter(said[:rater] + said[rater + 1 :])
            winner, most = others.most_common(1)[0] if others else ("", 0)
            if 2 * most > len(said) - 1 and winner in EXPRESSIONS:
                asked[winner] += 1
                right[winner] += answer == winner
    found = annotator_ceiling(votes(*rows), NAMES, EXPRESSIONS)
    if not asked:
        assert found is None
        return
    assert found is not None
    assert found.n == asked.total()
    assert found.accuracy == pytest.approx(right.total() / asked.total())
    assert found.recall == pytest.approx({n: right[n] / asked[n] if asked[n] else None for n in NAMES[:2]})
    assert found.mean_class_recall == pytest.approx(np.mean([right[n] / asked[n] for n in asked]))


def test_images_that_were_voted_on_twice() -> None:
    one = votes((9, 1, 0), (9, 1, 0), (5, 5, 0), (9, 1, 0), (0, 9, 1), UNKNOWN_TO_THE_FILE)
    other = votes((9, 1, 0), (8, 2, 0), (9, 1, 0), (1, 9, 0), (0, 0, 9), (9, 1, 0))
    found = rerated(one, other, NAMES)
    assert found == Rerated(pairs=5, other_votes=4, labelled=3, other_label=1)
    assert rerated(one[:0], other[:0], NAMES) == Rerated(0, 0, 0, 0)
