"""On a real Ray cluster of several nodes, of which one dies: the table is the one that a single machine makes."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.detectors import load_detector
from fercache.errors import FercacheError
from fercache.extraction import cluster
from fercache.plugins import use_plugins
from fercache.store.tables import FeatureTable, read_table
from tests.conftest import REPOSITORY
from tests.extraction.squares import FILE, save_photographs
from tests.faults.kills import same
from tests.outside_plugins import DATASET, ENCODER, write
from tests.stages.test_extract import save

pytest.importorskip("ray", reason="Ray is not installed")

FACES, ROWS = 120, 5
EXACT = EncoderRequest(device="cpu", precision="fp32")

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    save(folder / "happy", FACES)
    (folder / "happy" / "050.png").write_bytes(b"no picture")
    return folder


def request(root: Path, **more: Any) -> ExtractRequest:
    return ExtractRequest(dataset="folder:mine", root=root, encoder=EXACT, batch_size=4, shard_rows=ROWS, **more)


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    return read_table(extract(Settings(cache=tmp_path_factory.mktemp("whole")), request(root)))


def listening(parent: int) -> set[str]:
    """Addresses, as Linux writes them, at which a process and those that it started accept connections."""
    rows = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]]
    at = {row[9]: row[1].partition(":")[0] for row in rows if row[3] == "0A"}
    found, family = set(), {parent}
    for process in sorted(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()):
        with suppress(OSError):
            if int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]) in family:
                family.add(process)
            if process in family:
                sockets = (str(fd.readlink()) for fd in Path(f"/proc/{process}/fd").iterdir())
                found |= {at[name[8:-1]] for name in sockets if name.startswith("socket:") and name[8:-1] in at}
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="reads Linux's list of sockets")
def test_a_cluster_of_its_own_is_on_this_machine_alone_and_sigterm_ends_it(root: Path, tmp_path: Path) -> None:
    """The first here: later there is a cluster on this machine, which would be taken."""
    command = [sys.executable, "-m", "fercache", "extract", "--dataset", "folder:mine", "--root", str(root)]
    command += ["--shard-rows", "1", "--precision", "fp32", "--engine", "ray"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True) as driver:
        assert driver.stderr is not None
        connected = any(" at a time" in line for line in driver.stderr)
        before = listening(driver.pid)
        time.sleep(0.5)
        addresses = before & listening(driver.pid)  # what stays: gRPC tries out what it may listen at
        driver.send_signal(signal.SIGTERM)
        said = [line for line in driver.stderr if line.strip()]
        assert driver.wait(60) == 130 and connected
    assert len(said) == 1 and said[0].startswith("fercache: Interrupted."), said
    assert addresses and addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1


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


def test_a_driver_that_dies_goes_on_and_workers_find_a_relative_root(
    nodes: Any, root: Path, whole: FeatureTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.chdir(root.parent)
    table = read_table(extract(Settings(cache=tmp_path / "cache"), request(Path(root.name), engine="ray")))
    assert same(table, whole)
    assert table.provenance["encoded"] <= FACES - 1 - ROWS * (len(kept) - 1)


@pytest.mark.usefixtures("no_plugins")
def test_workers_know_the_plugin_files_of_the_driver(nodes: Any, tmp_path: Path) -> None:
    use_plugins([write(tmp_path / "plugins", {"stripes.py": DATASET, "pixels.py": ENCODER})])
    asked = ExtractRequest(dataset="stripes", encoder=EncoderRequest(name="my-pixels"), shard_rows=30, shifted=False)
    table = read_table(extract(Settings(cache=tmp_path / "ray"), asked.but(engine="ray")))
    assert same(table, read_table(extract(Settings(cache=tmp_path / "here"), asked))) and len(table.columns.id) == 90


def test_files_that_workers_do_not_see_are_no_damaged_images(
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
    monkeypatch.setattr("fercache.cluster.TRIES", 2)  # each takes a new worker, which takes seconds to start
    with pytest.raises(FercacheError, match=r"the shard from happy/.*was tried 2 times"):
        extract(Settings(cache=tmp_path / "cache"), request(root, engine="ray").but(shard_rows=FACES))


@pytest.mark.usefixtures("no_plugins")
def test_tasks_look_for_faces_in_photographs(nodes: Any, tmp_path: Path) -> None:
    use_plugins([FILE])
    squares = type(load_detector("squares"))
    list(save_photographs(tmp_path / "photos" / "happy", 30))
    asked = ExtractRequest(
        dataset="folder:party", root=tmp_path / "photos", encoder=EXACT, faces="squares", which="all", shard_rows=10
    )
    table = read_table(extract(Settings(cache=tmp_path / "ray"), asked.but(engine="ray")))
    assert squares.searched == 0, "the driver searched"  # type: ignore[attr-defined]
    assert same(table, read_table(extract(Settings(cache=tmp_path / "here"), asked)))
    assert len(table.columns.id) == 30 and table.quarantined == 10
