"""Requests become batches, in order, and one request's fault is not another's."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.predicting.results import PredictedImage
from fercache.serving.batching import Batcher, GivenImage


class Recorder:
    """Reads numbers; raises for a batch with "bad". Waits for `let_go` before the first call ends."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.started, self.let_go = threading.Event(), threading.Event()

    def __call__(self, images: Sequence[bytes]) -> list[PredictedImage]:
        self.calls.append(list(images))
        self.started.set()
        assert self.let_go.wait(20)
        if b"bad" in images:
            raise ValueError("bad")
        return [PredictedImage("", width=int(image)) for image in images]


def images(*data: bytes, pixels: int = 0) -> list[GivenImage]:
    return [GivenImage(f"image {each.decode()}", each, pixels) for each in data]


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(images=4, pixels=100, seconds=0)
    yield made
    made.close()


def busy(batcher: Batcher) -> Recorder:
    """A predictor that is in its first call."""
    recorder = Recorder()
    batcher.submit(recorder, images(b"0"))
    assert recorder.started.wait(20)
    return recorder


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_any_requests_are_answered_in_order_within_the_limits(sizes: list[int]) -> None:
    batcher = Batcher(images=4, seconds=0)
    recorder = busy(batcher)
    requests = [images(*(b"%d" % (10 * row + place) for place in range(size))) for row, size in enumerate(sizes)]
    answers = [batcher.submit(recorder, request) for request in requests]
    recorder.let_go.set()
    for request, answer in zip(requests, answers, strict=True):
        found = answer.result(20)
        assert [(each.name, each.width) for each in found] == [(each.name, int(each.data)) for each in request]
    batcher.close()
    assert [each for call in recorder.calls[1:] for each in call] == [i.data for request in requests for i in request]
    assert all(len(call) <= max(4, *sizes) for call in recorder.calls)
    assert len(recorder.calls) - 1 <= len(sizes)


def test_what_waits_becomes_one_batch(batcher: Batcher) -> None:
    recorder = busy(batcher)
    answers = [batcher.submit(recorder, images(b"%d" % number)) for number in range(1, 7)]
    recorder.let_go.set()
    assert [answer.result(20)[0].width for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert [len(call) for call in recorder.calls] == [1, 4, 2]


def test_a_batch_has_at_most_so_many_pixels(batcher: Batcher) -> None:
    recorder = busy(batcher)
    answers = [batcher.submit(recorder, images(b"1", pixels=pixels)) for pixels in (60, 40, 1, 500, 1)]
    recorder.let_go.set()
    assert [len(answer.result(20)) for answer in answers] == [1] * 5
    assert [len(call) for call in recorder.calls] == [1, 2, 1, 1, 1]


def test_a_batch_has_one_predictor(batcher: Batcher) -> None:
    recorder, other = busy(batcher), Recorder()
    other.let_go.set()
    one, two = batcher.submit(other, images(b"1")), batcher.submit(recorder, images(b"2"))
    three = batcher.submit(other, images(b"3"))
    recorder.let_go.set()
    assert [answer.result(20)[0].width for answer in (one, two, three)] == [1, 2, 3]
    assert other.calls == [[b"1", b"3"]] and recorder.calls == [[b"0"], [b"2"]]


def test_a_failure_is_that_of_its_request_alone(batcher: Batcher) -> None:
    recorder = busy(batcher)
    good, bad = batcher.submit(recorder, images(b"1")), batcher.submit(recorder, images(b"bad"))
    recorder.let_go.set()
    assert good.result(20)[0].width == 1
    with pytest.raises(ValueError, match="bad"):
        bad.result(20)
    assert batcher.submit(recorder, images(b"2")).result(20)[0].width == 2


def test_a_cancelled_request_is_not_computed(batcher: Batcher) -> None:
    recorder = busy(batcher)
    gone, here = batcher.submit(recorder, images(b"1")), batcher.submit(recorder, images(b"2"))
    gone.cancel()
    recorder.let_go.set()
    assert here.result(20)[0].width == 2
    assert recorder.calls == [[b"0"], [b"2"]]


def test_closing_cancels_what_waits() -> None:
    batcher = Batcher(images=1, seconds=0)
    recorder = busy(batcher)
    waiting = batcher.submit(recorder, images(b"1"))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while True:
        try:
            batcher.submit(recorder, images(b"2"))
        except RuntimeError:
            break
    recorder.let_go.set()
    closing.join()
    with pytest.raises(CancelledError):
        waiting.result(20)
