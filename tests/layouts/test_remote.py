"""Sets at an address: in memory, and on a web server. Every image is fetched once."""

import csv
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.datasets import FaceImage
from fercache.errors import UsageError
from fercache.extraction.prepare import SAMPLE
from fercache.layouts import remote
from fercache.settings import load_settings
from fercache.store.tables import read_table
from tests.datasets.miniatures.own_images import manifest
from tests.datasets.miniatures.webdataset import shards
from tests.pixel_encoder import PixelEncoder
from tests.stages.test_extract import save

pytest.importorskip("aiohttp", reason="aiohttp, by which fsspec reads from web servers, is not installed")


class Handler(SimpleHTTPRequestHandler):
    """Counts what is fetched, and understands ranges, as stores do."""

    fetched: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        type(self).fetched[self.path] += 1
        path, span = Path(self.translate_path(self.path)), self.headers.get("Range")
        if span is None or not path.is_file():
            return super().do_GET()
        begin, _, end = span.removeprefix("bytes=").partition("-")
        data = path.read_bytes()
        part = data[int(begin) : int(end) + 1 if end else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{int(begin) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    Handler.fetched = Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


def in_memory(folder: Path, name: str) -> str:
    system = fsspec.filesystem("memory")
    for path in folder.rglob("*.*"):
        if path.is_file():
            system.pipe_file(f"/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory://{name}"


def features(cache: Path, name: str, root: Path) -> tuple[list[str], np.ndarray]:
    columns = read_table(
        extract(Settings(cache=cache), ExtractRequest(dataset=name, root=root, encoder=EncoderRequest(name="pixels")))
    ).columns
    return list(columns.id), columns.features["clean"]


@pytest.mark.parametrize("name", ["manifest:mine", "webdataset:mine"])
def test_an_address_gives_what_the_local_folder_gives(
    name: str, tmp_path: Path, server: str, pixel_encoder: type[PixelEncoder]
) -> None:
    made = (manifest if name == "manifest:mine" else shards)(tmp_path / "set")
    assert made.root is not None
    below = made.root.relative_to(tmp_path / "set")
    ids, expected = features(tmp_path / "local", name, made.root)
    if name == "manifest:mine":  # a web server lists no folders
        addresses = [f"{in_memory(tmp_path / 'set', 'faces')}/{below}", f"{server}/set/{below}"]
    else:
        addresses = [in_memory(tmp_path / "set", "shards"), f"{server}/set/test-000000.tar"]
    for number, address in enumerate(addresses):
        found, ours = features(tmp_path / f"cache-{number}", name, Path(address))
        rows = [ids.index(id) for id in found]
        assert found and len(found) == (len(ids) if "test-000000.tar" not in address else 2)
        np.testing.assert_array_equal(ours, expected[rows])


def test_every_image_is_fetched_once(tmp_path: Path, server: str, pixel_encoder: type[PixelEncoder]) -> None:
    """Listing fetches none. The first are looked at before, to settle on a precision."""
    save(tmp_path / "set", SAMPLE + 20)
    names = [path.name for path in sorted((tmp_path / "set").iterdir())]
    (tmp_path / "set" / "faces.csv").write_text("\n".join(["path,label", *(f"{name},happy" for name in names)]))
    features(tmp_path / "cache", "manifest:mine", Path(f"{server}/set/faces.csv"))
    fetched = [Handler.fetched[f"/set/{name}"] for name in names[SAMPLE:]]
    assert fetched == [1] * 20


def test_an_image_that_changes_at_its_address_is_another(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/stamps/a.png", b"one")
    before = remote.stamp(Path("memory://stamps/a.png"))
    assert remote.stamp(Path("memory://stamps/a.png")) == before
    system.pipe_file("/stamps/a.png", b"three")
    assert remote.stamp(Path("memory://stamps/a.png")) != before
    with pytest.raises(OSError):
        remote.stamp(Path("memory://stamps/absent.png"))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense://bucket/faces", "nonsense://bucket/faces cannot be read"),
        ("memory://nowhere/faces.csv", "memory://nowhere/faces.csv does not exist"),
    ],
)
def test_an_address_that_leads_nowhere_is_reported(tmp_path: Path, address: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        extract(
            Settings(cache=tmp_path),
            ExtractRequest(dataset="manifest:mine", root=Path(address), encoder=EncoderRequest(name="pixels")),
        )


def test_addresses_and_paths_are_distinguished() -> None:
    for address in ("s3://bucket/a/b.tar", "http://host:80/x", "memory://a", "gs://b/c.csv", "file:///a/b.csv"):
        assert remote.address_of(Path(address)) == remote.shown(Path(address)) == address
    for local in ("a/b", "/a/b", "C:/x", ".", "a:b", "x:/y"):
        assert remote.address_of(Path(local)) is None
        assert remote.shown(Path(local)) == local


def test_fercache_toml_may_hold_an_address(tmp_path: Path) -> None:
    (tmp_path / "fercache.toml").write_text('[datasets]\n"manifest:a" = "s3://bucket/a.csv"\n"manifest:b" = "b.csv"\n')
    settings = load_settings(tmp_path)
    assert remote.address_of(settings.datasets["manifest:a"]) == "s3://bucket/a.csv"
    assert settings.datasets["manifest:b"] == tmp_path / "b.csv"


def test_a_file_at_an_address_is_that_file(tmp_path: Path) -> None:
    made = manifest(tmp_path)
    assert made.root is not None
    dataset = registry.load("datasets", "manifest")
    local, there = (list(dataset.faces(root)) for root in (made.root, Path(made.root.as_uri())))
    assert [(face.id, face.read()) for face in there] == [(face.id, face.read()) for face in local]


@pytest.mark.parametrize(("name", "file"), [("manifest", "faces.csv"), ("webdataset", "a.tar")])
def test_messages_hold_the_address(name: str, file: str) -> None:
    fsspec.filesystem("memory").pipe_file(f"/told/{file}", b"nonsense")
    with pytest.raises(UsageError, match=f"^memory://told/{file}"):
        list(registry.load("datasets", name).faces(Path(f"memory://told/{file}")))


def test_an_image_at_an_address_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/large/faces.csv", b"path,label\na.png,sad\n")
    system.pipe_file("/large/a.png", bytes(11))
    monkeypatch.setattr("fercache.datasets.manifest.LARGEST_FILE", 10)
    (face,) = registry.load("datasets", "manifest").faces(Path("memory://large/faces.csv"))
    with pytest.raises(OSError, match="larger than"):
        face.read()


def rows_of(folder: Path, **more: Any) -> list[FaceImage]:
    """The faces of a Parquet file with one row, and some columns beside path and label."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (folder / "a.png").touch()
    parquet.write_table(pyarrow.table({"path": ["a.png"], "label": ["sad"]} | more), folder / "faces.parquet")
    return list(registry.load("datasets", "manifest").faces(folder / "faces.parquet"))


@pytest.mark.parametrize("name", ["age, years", "a\nb", '"q'])
def test_columns_of_a_parquet_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (face,) = rows_of(tmp_path, **{name: [3]})
    assert face.group == f"{name}=3"


def test_cells_of_a_parquet_file_that_are_no_text_are_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match=r"faces\.parquet, row 1: the column path is binary. Expected text"):
        rows_of(tmp_path, path=[b"a.png"])
    latin = pyarrow.array([b"Zo\xeb"]).cast(pyarrow.binary()).view(pyarrow.string())
    late = pyarrow.array([2**62], pyarrow.timestamp("ms"))
    for odd in (latin, late):
        with pytest.raises(UsageError, match=r"faces\.parquet cannot be read as Parquet after 0 rows"):
            rows_of(tmp_path, odd=odd)


def test_a_parquet_manifest_is_the_csv_one(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    made = manifest(tmp_path)
    assert made.root is not None
    with made.root.open() as stream:
        rows = list(csv.DictReader(stream))
    table = pyarrow.table({name: [row[name] or None for row in rows] for name in rows[0]})
    parquet.write_table(table, tmp_path / "faces.parquet", row_group_size=3)
    dataset = registry.load("datasets", "manifest")

    def told(root: Path) -> list[tuple[object, ...]]:
        return [(f.id, f.split, f.label, f.subject, f.group, f.box, f.read()) for f in dataset.faces(root, "mine")]

    assert told(tmp_path / "faces.parquet") == told(made.root)
    (tmp_path / "bad.parquet").write_bytes((tmp_path / "faces.parquet").read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"bad\.parquet cannot be read as Parquet"):
        told(tmp_path / "bad.parquet")
