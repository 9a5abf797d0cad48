"""Which precision `auto` takes, and which are refused."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.runtime import precisions
from fercache.runtime.precisions import agree, centred_cosine, check_precision, fastest

Encode = Callable[[str], NDArray[np.float32]]


def trials(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], noise: dict[str, float]) -> Encode:
    """Features that deviate from fp32's by `noise`; the measured times are replaced by `seconds`."""
    random = np.random.default_rng(0)
    features = random.normal(5.0, 1.0, (32, 16)).astype(np.float32)

    def encode(precision: str) -> NDArray[np.float32]:
        return features + random.normal(0, noise[precision], features.shape).astype(np.float32)

    monkeypatch.setattr(precisions, "timed", lambda encode, precision: (encode(precision), seconds[precision]))
    monkeypatch.setattr(precisions, "reduced_precisions", lambda device: ("bf16", "fp16"))
    return encode


@pytest.mark.parametrize(
    ("seconds", "noise", "expected"),
    [
        ({"bf16": 0.4, "fp16": 0.7}, {"bf16": 0.0, "fp16": 0.0}, "bf16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.0, "fp16": 0.0}, "fp16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.01, "fp16": 0.5}, "bf16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.5, "fp16": 0.5}, "fp32"),
        ({"bf16": 0.95, "fp16": 1.2}, {"bf16": 0.0, "fp16": 0.0}, "fp32"),
    ],
)
def test_the_fastest_that_agrees(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], noise: dict[str, float], expected: str
) -> None:
    encode = trials(monkeypatch, {"fp32": 1.0, **seconds}, {"fp32": 0.0, **noise})
    precision, measured = fastest("cpu", encode)
    assert precision == expected
    assert set(measured) == {"fp32", "bf16", "fp16"}
    assert measured["fp32"] == {"faces_per_second": 32.0}


def test_measuring_for_real() -> None:
    features = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    calls: list[str] = []

    def encode(precision: str) -> NDArray[np.float32]:
        calls.append(precision)
        return features

    _, measured = fastest("cpu", encode)
    assert set(measured) == {"fp32", *precisions.reduced_precisions("cpu")} == set(calls)
    assert calls.count("fp32") == 3  # the first one warms up


def test_features_that_agree_only_in_their_common_part_do_not_agree() -> None:
    random = np.random.default_rng(0)
    common = np.full(16, 50.0, np.float32)
    one, other = (common + random.normal(size=(32, 16)).astype(np.float32) for _ in range(2))
    plain = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert plain.min() > 0.995 and not agree(centred_cosine(one, other))
    assert agree(centred_cosine(one, one))
    assert not agree(centred_cosine(np.full_like(one, np.nan), one))


def test_bf16_is_only_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precisions, "reduced_precisions", lambda device: ())
    with pytest.raises(UsageError, match="not native"):
        check_precision("bf16", "cpu")
    assert check_precision("auto", "cpu") == "fp32"
