"""Small simulations; `python -m tests.few_labels` has those on faces."""

import numpy as np
import pytest

from fercache.scoring.few_labels import FEWEST_LABELS, LabelledSample, estimate_scores
from tests.few_labels.made import made_target
from tests.few_labels.simulated import Known, simulate


@pytest.mark.parametrize(("overconfidence", "run"), [(1.0, 0), (3.0, 1)])
def test_intervals_cover_the_truth_and_are_narrower_than_those_of_a_random_sample(
    overconfidence: float, run: int
) -> None:
    """Mean class recall is covered less often where an expression is rare, as by a random sample."""
    found = simulate(made_target(1, overconfidence=overconfidence), run, 50, level=0.9, draws=300)
    least, widest = (
        {"accuracy": 0.86, "mean_class_recall": 0.81},
        {"accuracy": 0.91 if overconfidence == 1 else 1, "mean_class_recall": 0.85},
    )
    for score in ("accuracy", "mean_class_recall"):
        assert found.coverage[score] > least[score], (score, found)
        assert found.width[score] < widest[score] * found.random_width[score], (score, found)
    assert abs(found.bias["accuracy"]) < 0.012 and abs(found.bias["mean_class_recall"]) < 0.05


def test_a_committee_that_knows_nothing_is_no_worse_than_a_random_sample() -> None:
    known = made_target(2)
    flat = Known(known.truth, np.full_like(known.posterior, 0.25), known.answers)
    found = simulate(flat, 0, 50, level=0.9, draws=300)
    assert found.coverage["accuracy"] > 0.86
    assert found.width["accuracy"] < 1.1 * found.random_width["accuracy"]
    assert abs(found.bias["accuracy"]) < 0.02


def all_labelled(known: Known) -> LabelledSample:
    faces = len(known.truth)
    return LabelledSample(np.arange(faces), known.truth, np.ones(faces), np.zeros(faces, dtype=np.int64))


def test_with_every_label_the_scores_are_exact() -> None:
    known = made_target(3)
    found = estimate_scores(all_labelled(known), known.answers[0], known.posterior)
    for score, value in known.scores(0).items():
        low, high = found[score].interval
        assert found[score].value == pytest.approx(value)
        assert low <= value <= high and high - low < 0.02


def test_a_higher_level_is_wider() -> None:
    known = made_target(4)
    sample = all_labelled(known).take(np.arange(600) < 40)
    narrow, wide = (estimate_scores(sample, known.answers[0], known.posterior, level) for level in (0.9, 0.95))
    for score in narrow:
        assert wide[score].interval[0] < narrow[score].interval[0] < narrow[score].interval[1] < wide[score].interval[1]


@pytest.mark.parametrize("right", [True, False])
def test_unanimous_labels_leave_doubt(right: bool) -> None:
    """As much as Wilson's interval does for as many faces."""
    truth, inclusion = np.arange(200) % 4, np.full(20, 0.1)
    answers = truth if right else (truth + 1) % 4
    sample = LabelledSample(np.arange(20), truth[:20], inclusion, np.arange(20))
    low, high = estimate_scores(sample, answers, np.full((200, 4), 0.25))["accuracy"].interval
    assert 0.08 < high - low < 0.25
    assert high == 1 if right else low == 0


def test_too_few_labels_are_refused() -> None:
    known = made_target(5)
    sample = all_labelled(known).take(np.arange(600) < FEWEST_LABELS - 1)
    with pytest.raises(ValueError, match="An interval needs 10 labels, not 9"):
        estimate_scores(sample, known.answers[0], known.posterior)
