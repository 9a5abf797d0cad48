"""Whether a server answers."""

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from fercache.weights.hub import ANSWER_SECONDS, fetched_before, reachable


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def refusing_server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_server_that_refuses_answers(refusing_server: str) -> None:
    assert reachable(refusing_server)


def test_a_closed_port_is_reported_at_once() -> None:
    start = time.monotonic()
    assert not reachable("http://127.0.0.1:9/")
    assert time.monotonic() - start < 2 * ANSWER_SECONDS


def test_the_first_file_that_was_fetched_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"b.bin": "/cache/b.bin", "c.bin": "/cache/c.bin"}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, filename: there.get(filename))
    assert fetched_before("someone/some", ("a.bin", "b.bin", "c.bin")) == Path("/cache/b.bin")
    assert fetched_before("someone/some", ("a.bin",)) is None
