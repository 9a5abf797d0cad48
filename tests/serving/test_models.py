"""The models of a server."""

import pytest

from fercache.serving.limits import Refused
from fercache.serving.models import Models
from tests.serving.served import FakePredictor


def test_the_last_models_are_kept() -> None:
    loaded: list[str] = []

    def load(name: str) -> FakePredictor:
        loaded.append(name)
        return FakePredictor()

    models = Models("abc", load, kept=2)
    assert models.load("a") is models.load("a")
    for name in ("b", "a", "c", "a", "b"):
        models.load(name)
    assert loaded == ["a", "b", "c", "b"]


def test_the_first_is_the_default_and_others_are_refused() -> None:
    models = Models(["one", "two"], lambda _: FakePredictor())
    assert models.named(None) == "one" and models.named("two") == "two"
    with pytest.raises(Refused, match="Did you mean 'two'"):
        models.named("twoo")
