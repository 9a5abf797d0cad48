"""On a real Ray cluster of several nodes, of which one dies: the table is the one that a single machine makes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import FercacheError, UsageError
from fercache.extraction import cluster
from fercache.store.tables import FeatureTable, read_table
from tests.conftest import REPOSITORY
from tests.faults.kills import same
from tests.stages.test_extract import save

ray = pytest.importorskip("ray", reason="Ray is not installed")

FACES, ROWS = 120, 5
MEMORY = 100 * 2**20
EXACT = EncoderRequest(device="cpu", precision="fp32")

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    save(folder / "happy", FACES)
    (folder / "happy" / "050.png").write_bytes(b"no picture")
    return folder


def request(root: Path, **more: Any) -> ExtractRequest:
    return ExtractRequest("folder:mine", root, EXACT, batch_size=4, shard_rows=ROWS, **more)


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    return read_table(extract(Settings(cache=tmp_path_factory.mktemp("whole")), request(root)))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A head without cores, and three nodes of one core each; one of them is going to die."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(REPOSITORY)
    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(3):
        found.add_node(num_cpus=1, object_store_memory=MEMORY)
    found.wait_for_nodes()
    ray.init(address=found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def test_a_node_dies_and_the_table_is_the_same(nodes: Any, root: Path, whole: FeatureTable, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            shards = list((tmp_path / "cache").rglob("0000*.h5"))
            if shards:
                nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
                killed.append(len(shards))
                return
            time.sleep(0.01)

    watcher = threading.Thread(target=kill_one)
    watcher.start()
    table = read_table(extract(Settings(cache=tmp_path / "cache"), request(root, engine="ray")))
    watcher.join()
    assert killed and killed[0] < FACES // ROWS, "the node died when all was done"
    assert same(table, whole) and table.quarantined == whole.quarantined == 1
    assert {name: table.provenance[name] for name in ("encoded", "copied", "quarantined")} == {
        "encoded": FACES - 1,
        "copied": 0,
        "quarantined": 1,
    }


def test_a_driver_that_dies_goes_on(nodes: Any, root: Path, whole: FeatureTable, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fercache", "extract", "--dataset", "folder:mine", "--root", str(root)]
    command += ["--batch-size", "4", "--shard-rows", str(ROWS), "--device", "cpu", "--precision", "fp32"]
    command += ["--engine", "ray", "--address", nodes.address]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=tmp_path, stdout=quiet, stderr=quiet) as driver:
        deadline = time.monotonic() + 120
        while not list(tmp_path.rglob("0000*.h5")) and time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.01)
        driver.kill()
    (parts,) = tmp_path.rglob("*.parts")
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("*.h5")}
    assert 0 < len(kept) < FACES // ROWS
    table = read_table(extract(Settings(cache=tmp_path / "cache"), request(root, engine="ray")))
    assert same(table, whole)
    assert table.provenance["encoded"] <= FACES - 1 - ROWS * (len(kept) - 1)


def test_files_that_workers_do_not_see_are_no_damaged_pictures(
    nodes: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(shared: Any, rows: Any) -> Any:
        hidden = [cluster.Quarantined(face.id, "cannot be read: no such file") for face in rows]
        return None, hidden, cluster.Counts()

    monkeypatch.setattr(cluster, "_encode_shard", elsewhere)
    with pytest.raises(FercacheError, match=r"can be read here but not by a worker.*mount the same folder"):
        extract(Settings(cache=tmp_path / "cache"), request(root, engine="ray"))


def test_a_shard_that_kills_every_worker_is_named(
    nodes: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_encode_shard", lambda shared, rows: os._exit(1))
    with pytest.raises(FercacheError, match=r"the shard from happy/.*was tried 4 times"):
        extract(Settings(cache=tmp_path / "cache"), replace(request(root, engine="ray"), shard_rows=FACES))


@pytest.mark.parametrize(
    ("nodes", "device", "share"),
    [
        ([{"CPU": 16.0}, {"CPU": 2.0, "GPU": 1.0}], "auto", ({"num_gpus": 1, "num_cpus": 2}, 1)),
        ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 128.0, "GPU": 4.0}], "auto", ({"num_gpus": 1, "num_cpus": 8}, 12)),
        ([{"CPU": 4.0, "GPU": 8.0}], "auto", ({"num_gpus": 1, "num_cpus": 1}, 8)),
        ([{"CPU": 16.0, "GPU": 1.0}, {}], "cpu", ({"num_cpus": 1}, 16)),
    ],
)
def test_a_task_asks_for_no_more_than_a_machine_has(nodes: list[dict[str, float]], device: str, share: Any) -> None:
    class Fake:
        @staticmethod
        def nodes() -> list[dict[str, Any]]:
            return [{"Alive": True, "Resources": each} for each in nodes] + [
                {"Alive": False, "Resources": {"GPU": 9.0}}
            ]

    assert cluster._share(Fake, device) == share


def test_a_relative_root_is_found_by_workers(
    nodes: Any, root: Path, whole: FeatureTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    relative = request(Path(root.name), engine="ray")
    assert same(read_table(extract(Settings(cache=tmp_path / "cache"), relative)), whole)


def test_without_ray_it_says_how_to_get_it(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'fercache\[ray\]'"):
        cluster._connected(None)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_where_nobody_answers_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    with pytest.raises(UsageError, match=r"There is no Ray cluster at .*refused"):
        cluster._connected(f"{scheme}127.0.0.1:1")
