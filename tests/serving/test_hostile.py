"""A small version of `python -m tests.serving.hostile`, and slow clients."""

import socket
from collections import Counter

import pytest

from fercache.serving import server
from fercache.serving.limits import Limits
from tests.serving.hostile import ATTACKS, Connection, head, outcomes, wrong
from tests.serving.served import FakePredictor, image_file, served

LIMITS = Limits(body_seconds=0.3)


def test_hostile_requests_are_refused_and_the_server_lives() -> None:
    with served(FakePredictor(), LIMITS) as client:
        found = Counter(outcomes(client.port, 2 * len(ATTACKS)))
        assert wrong(found) == []
        assert client.post(image_file()).status == 200
        assert client.get("/health").json["waiting"] == 0


def test_a_slow_body_is_refused_and_the_connection_closed() -> None:
    with served(FakePredictor(), LIMITS) as client:
        connection = Connection(client.port)
        connection.post(b"abc", "image/png", length=1000)
        assert connection.status() == 408


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost:", head("GET", "/health") + b"GET / HT"])
def test_a_connection_whose_headers_do_not_arrive_is_closed(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.1)
    with served(FakePredictor()) as client, socket.create_connection(("127.0.0.1", client.port), timeout=20) as slow:
        slow.sendall(begin)
        received = b"".join(iter(lambda: slow.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 200") == begin.endswith(b"HT")


def test_a_quick_second_request_is_answered_after_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)
    predictor = FakePredictor()
    predictor.let_go.clear()
    with served(predictor, Limits(answer_seconds=0.5)) as client:
        assert client.post(image_file()).status == 503  # not closed, although it took longer
        predictor.let_go.set()


def test_what_a_client_that_left_sent_is_not_computed() -> None:
    predictor = FakePredictor()
    predictor.let_go.clear()
    with served(predictor) as client:

        def waiting() -> int:
            return int(client.get("/health").json["waiting"])

        first, second = Connection(client.port), Connection(client.port)
        first.post(image_file(), "image/png")
        while not predictor.calls:
            pass
        second.post(image_file(), "image/png")
        while waiting() < 2:
            pass
        second.leave()
        while waiting() > 1:
            pass
        predictor.let_go.set()
        assert first.status() == 200
    assert predictor.calls == [1]
