"""The models of a server."""

import threading

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


def test_a_model_that_is_loaded_does_not_wait_for_another() -> None:
    begun, let_go = threading.Event(), threading.Event()

    def load(name: str) -> FakePredictor:
        if name == "b":
            begun.set()
            assert let_go.wait(20)
        return FakePredictor()

    models = Models("ab", load)
    first = models.load("a")
    loading = threading.Thread(target=models.load, args="b")
    loading.start()
    assert begun.wait(20) and models.load("a") is first
    let_go.set()
    loading.join()


def test_the_first_is_the_default_and_others_are_refused() -> None:
    models = Models(["one", "two"], lambda _: FakePredictor())
    assert models.named(None) == "one" and models.named("two") == "two"
    with pytest.raises(Refused, match="Did you mean 'two'"):
        models.named("twoo")
