import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.scoring.temperature import fit_temperature


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), temperature=st.floats(0.2, 8))
def test_the_temperature_of_drawn_labels_is_found(seed: int, temperature: float) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (4000, 7))
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    truth = np.array([random.choice(7, p=row) for row in likely])
    assert fit_temperature(temperature * scores, truth) == pytest.approx(temperature, rel=0.1)


def test_a_temperature_changes_no_prediction_and_stays_finite_without_errors() -> None:
    logits = np.eye(7, dtype=np.float32)[np.arange(70) % 7]
    assert 0.01 < fit_temperature(logits, np.arange(70) % 7) < 1
    assert fit_temperature(logits[:0], np.arange(0)) == 1
