"""The way to a Ray cluster: what is said when there is none, and what a task takes of its machines."""

import socket
import threading
from typing import Any

import pytest

from fercache import cluster
from fercache.cluster import Needs
from fercache.errors import UsageError

ray = pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = pytest.mark.xdist_group("ray")

SMALL, LARGE = Needs("cpu", memory=9), Needs("cpu", memory=99)


@pytest.mark.parametrize(
    ("nodes", "needs", "share", "at_once"),
    [
        ([{"CPU": 16.0}, {"CPU": 2.0, "GPU": 1.0}], Needs("auto"), {"GPU": 1, "CPU": 2}, 1),
        ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 128.0, "GPU": 4.0}], Needs("auto"), {"GPU": 1, "CPU": 8}, 12),
        ([{"CPU": 4.0, "GPU": 8.0}], Needs("auto"), {"GPU": 1, "CPU": 1}, 4),
        ([{"CPU": 16.0, "GPU": 1.0}, {}], Needs("cpu"), {"CPU": 1}, 16),
        ([{"CPU": 16.0}, {"CPU": 4.0}, {}], Needs("cpu", all_cores=True), {"CPU": 4}, 5),
        (
            [{"CPU": 16.0, "memory": 90.0}, {"CPU": 4.0, "memory": 90.0}],
            Needs("cpu", memory=9),
            {"CPU": 1, "memory": 9},
            14,
        ),
        (
            [{"CPU": 16.0, "memory": 90.0}, {"CPU": 4.0, "memory": 30.0}],
            Needs("cpu", memory=99),
            {"CPU": 1, "memory": 90},
            1,
        ),
    ],
)
def test_a_task_asks_for_no_more_than_a_machine_has(
    nodes: list[dict[str, float]], needs: Needs, share: dict[str, int], at_once: int
) -> None:
    class Fake:
        @staticmethod
        def nodes() -> list[dict[str, Any]]:
            return [{"Alive": True, "Resources": each} for each in nodes] + [
                {"Alive": False, "Resources": {"GPU": 9.0}}
            ]

    assert cluster._share(Fake, needs) == (share, at_once)


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'fercache\[ray\]'"):
        cluster.connected(None)


@pytest.fixture
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 0.2)


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", r"There is no Ray cluster at 127\.0\.0\.1:1: .*refused"),
        ("ray://127.0.0.1:10001", r"for Ray's client.*--address auto or HOST:PORT"),
        ("http://head:6379", r"expected HOST:PORT.*or auto"),
        ("head", r"expected HOST:PORT.*or auto"),
        ("", r"expected HOST:PORT.*or auto"),
    ],
)
def test_an_address_that_is_none_is_said_at_once(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        cluster.connected(address)


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize(("answer", "said"), [(b"", "no answer within"), (b"HTTP/1.1 400 Bad Request", "is not Ray")])
def test_what_else_listens_there_is_no_cluster(answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            held.append(server.accept()[0])
            held[0].sendall(answer)

        threading.Thread(target=accept, daemon=True).start()
        with pytest.raises(UsageError, match=f"no Ray cluster at .*{said}"):
            cluster.connected(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_cluster_answers(nodes: Any) -> None:
    cluster.check_address(nodes.address)
