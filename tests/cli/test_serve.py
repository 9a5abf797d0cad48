"""`fercache serve` as a user starts and ends it."""

import importlib.util
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_wrong_use import refused
from tests.command_line import Run
from tests.serving.process import started
from tests.serving.served import Client, FakePredictor


def test_it_answers_what_predict_writes_and_ends_quietly(run: Run, studio_folder: Path) -> None:
    image = next((studio_folder / "test" / "happiness").iterdir())
    with started("--faces", "none") as server:
        found = Client(server.port).post(image.read_bytes()).json
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    written = json.loads(run("predict", image, "--faces", "none", "--json", "-").out)
    assert found["model"] == written["model"]
    (here,), (there,) = found["images"], written["images"]
    assert without_shares(here) == {**without_shares(there), "image": "image"}
    for name, share in there["faces"][0]["probabilities"].items():
        assert here["faces"][0]["probabilities"][name] == pytest.approx(share, abs=1e-4)


def without_shares(image: dict[str, Any]) -> dict[str, Any]:
    return {**image, "faces": [{**face, "probabilities": None} for face in image["faces"]]}


def test_wrong_use_says_what_to_do(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused(run("serve", "--port", port), f"--port {port}", "in use", "Choose another port")
    refused(run("serve", "--host", "no.such.host.invalid"), "--host no.such.host.invalid")
    refused(run("serve", "--port", "70000"), "--port")
    refused(run("serve", "no-such-run", "--port", "0"), "no-such-run", "fercache train")
    refused(run("serve", "--faces", "no-such-detector", "--port", "0"), "no-such-detector")


def test_the_extra_is_named_where_it_is_not_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "starlette" else find(name, *more)
    )
    refused(run("serve"), "pip install 'fercache[serve]'")


def test_a_server_for_everyone_warns_unless_it_has_a_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercache.serving.serve.run", lambda app, listening: listening.close())
    monkeypatch.setattr("fercache.serving.serve._load", lambda *_: FakePredictor())
    options = ("serve", "--port", "0", "--host", "0.0.0.0")
    assert "warning: anyone who can reach this machine" in run(*options).err
    monkeypatch.setenv("FERCACHE_TOKEN", "secret")
    outcome = run(*options)
    assert outcome.code == 0 and "warning" not in outcome.err and "secret" not in outcome.out + outcome.err
