import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.votes import named_labels, voted_labels

COLUMNS = tuple(f"file:{name}" for name in (*EXPRESSIONS, "unknown", "NF"))


def voted(*rows: tuple[int, ...], policy: str = "majority", expressions: tuple[str, ...] = EXPRESSIONS):
    return voted_labels(expressions, np.array(rows, dtype=np.int16), COLUMNS, policy=policy)


def test_named_labels_follow_names_not_indices() -> None:
    label = np.array([0, 1, 2, -1], dtype=np.int16)
    labels = named_labels(("neutral", "anger"), ("anger", "neutral", "fear"), label)
    assert labels.index.tolist() == [1, 0, -1, -1]
    assert labels.dropped == {"fear": 1, "no label": 1}


def test_majority_is_strictly_more_than_half_of_what_is_left() -> None:
    tie = (5, 5, 0, 0, 0, 0, 0, 0, 0, 0)
    majority_after_single_votes = (5, 1, 1, 1, 1, 1, 0, 0, 0, 0)
    unknown = (2, 0, 0, 0, 0, 0, 0, 0, 8, 0)
    nothing = (1,) * 10
    labels = voted(tie, majority_after_single_votes, unknown, nothing)
    assert labels.index.tolist() == [-1, 0, -1, -1]
    assert labels.dropped == {"no majority": 1, "unknown": 1, "no vote above one": 1}


def test_plurality_takes_the_first_of_equals_and_soft_shares_the_votes() -> None:
    row = (4, 4, 0, 0, 0, 0, 0, 0, 2, 0)
    assert voted(row, policy="plurality").index.tolist() == [0]
    soft = voted(row, policy="soft")
    assert soft.distribution is not None
    assert soft.distribution[0].tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]


def test_seven_classes_keep_the_decision_made_with_all_columns() -> None:
    """An image whose majority is contempt is left out, never given to the runner-up."""
    row = (4, 0, 0, 0, 0, 0, 0, 6, 0, 0)
    assert voted(row, expressions=EXPRESSIONS[:7]).dropped == {"contempt": 1}


def test_rows_that_a_label_file_does_not_know() -> None:
    assert voted((-1,) * 10).dropped == {"not in label file": 1}


def test_wrong_policy_and_file_are_refused() -> None:
    with pytest.raises(UsageError, match="majority"):
        voted((1,) * 10, policy="majorty")
    with pytest.raises(UsageError, match="file"):
        voted_labels(EXPRESSIONS, np.zeros((1, 10), dtype=np.int16), COLUMNS, label_file="other")


votes_rows = st.lists(st.tuples(*[st.integers(-1, 10)] * 10), min_size=1, max_size=20)


@settings(max_examples=50, deadline=None)
@given(rows=votes_rows, order=st.permutations(range(10)), policy=st.sampled_from(["majority", "soft"]))
def test_order_of_columns_does_not_matter(rows: list[tuple[int, ...]], order: list[int], policy: str) -> None:
    """Names decide: permuting the columns together with their names changes no majority and no distribution."""
    votes = np.array(rows, dtype=np.int16)
    permuted = voted_labels(EXPRESSIONS, votes[:, order], [COLUMNS[i] for i in order], policy=policy)
    plain = voted(*rows, policy=policy)
    if policy == "majority":
        assert plain.index.tolist() == permuted.index.tolist()
        assert plain.dropped == permuted.dropped
    else:
        assert plain.distribution is not None
        assert permuted.distribution is not None
        np.testing.assert_array_equal(plain.distribution, permuted.distribution)


@settings(max_examples=50, deadline=None)
@given(rows=votes_rows, policy=st.sampled_from(["majority", "plurality", "soft"]))
def test_every_row_is_kept_or_counted(rows: list[tuple[int, ...]], policy: str) -> None:
    labels = voted(*rows, policy=policy)
    assert labels.kept.sum() + sum(labels.dropped.values()) == len(rows)
    if labels.distribution is not None:
        np.testing.assert_allclose(labels.distribution.sum(axis=1), labels.kept, atol=1e-6)
