"""Options -> a server."""

from pathlib import Path

import pytest

from fercache import Settings
from fercache.options.serve import ServeRequest
from fercache.serving import serve
from fercache.serving.server import is_loopback
from tests.loading.test_run_config import STORED
from tests.serving.served import FakePredictor
from tests.store.made_runs import written

ROW = {"epoch": 1, "validation_accuracy": 0.5, "validation_mean_class_recall": 0.4, "snapshot": "epoch-01"}


def write_run(settings: Settings, head: str, seed: int, method_key: str) -> str:
    name = f"bundled-rafdb-{head}-none-{seed}-{method_key}{seed}"
    config = {**STORED, "name": name, "head": head, "seed": seed, "method_key": method_key}
    written(settings.cache / "runs" / name, config=config, history=[ROW], snapshots={})
    return name


def test_methods_are_offered_and_runs_where_a_name_fits_several(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        write_run(settings, "knn", seed, "aaaa")
    several = [write_run(settings, "gda", 0, key) for key in ("bbbb", "cccc")]
    damaged = write_run(settings, "rla", 0, "dddd")
    (settings.cache / "runs" / damaged / "config.json").write_text("{", encoding="utf-8")
    assert serve.known_models(settings) == ["zero-shot", *several, "bundled-rafdb-knn-none"]
    assert damaged in capsys.readouterr().err
    assert serve.known_models(Settings(cache=Path("nowhere"))) == ["zero-shot"]


def test_options_become_limits() -> None:
    request = ServeRequest(megabytes=3, megapixels=4, most_faces=5, waiting=6, per_client=7, timeout=8)
    limits = serve.limits_of(request)
    assert (limits.body, limits.pixels, limits.faces) == (3_000_000, 4_000_000, 5)
    assert (limits.waiting, limits.per_client, limits.body_seconds) == (6, 7, 8)


@pytest.mark.parametrize(
    ("host", "token", "private"), [("127.0.0.1", "", True), ("localhost", "t", True), ("0.0.0.0", "", False)]
)
def test_a_server_is_private_unless_another_host_is_asked_for(
    host: str, token: str, private: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load(_: object, __: object, name: str) -> FakePredictor:
        asked.append(name)
        return FakePredictor()

    monkeypatch.setattr(serve, "_load", load)
    server = serve.opened(settings, ServeRequest(host=host, port=0, token=token))
    server.listening.close()
    server.batcher.close()
    assert server.is_private == private and asked == ["zero-shot"]


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))
