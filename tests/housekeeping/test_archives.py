"""An archive brings runs and datasets to another cache, whole or not at all."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fercache.errors import FercacheError, UsageError
from fercache.housekeeping.archives import MANIFEST, export_files, files_to_export
from fercache.housekeeping.importing import Imported, import_archive
from fercache.loading.run_summaries import run_folders
from fercache.store.locks import holding
from fercache.store.tables import find_tables, lock_path, read_table
from fercache.store.verify import verify
from tests.housekeeping.made_caches import made_run, made_table, unchanged
from tests.store.made_tables import place, write_table


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    cache = tmp_path / "cache"
    table = made_table(cache)
    for seed in range(2):
        made_run(cache, table, seed=seed)
    made_table(cache, "folder:other")
    return cache


def exported(cache: Path, *names: str) -> Path:
    return export_files(cache, files_to_export(cache, names), cache.parent / "shared.tar")


def contents(cache: Path) -> dict[str, bytes]:
    files = (path for path in cache.rglob("*") if path.is_file() and "in-use" not in path.parts)
    return {path.relative_to(cache).as_posix(): path.read_bytes() for path in files}


def test_a_run_brings_what_it_refers_to_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    found = import_archive(tmp_path / "new", exported(cache, "sigmoid-mask-1"))
    assert found.there == 0
    assert [t.identity["dataset"] for t in find_tables(tmp_path / "new")] == ["folder:mine"]
    assert len(run_folders(tmp_path / "new")) == 1
    there = contents(tmp_path / "new")
    assert there.items() <= contents(cache).items() and len(there) == found.added
    assert verify(tmp_path / "new") == [] and not list(tmp_path.rglob("*.tmp"))


def test_a_table_in_parts(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = write_table(place(cache), rows=40, shard_rows=5, part_rows=10)
    import_archive(tmp_path / "new", exported(cache, path.stem))
    assert len(read_table(tmp_path / "new" / path.relative_to(cache)).columns) == len(read_table(path).columns)


def test_what_is_there_stays_as_it_is(cache: Path, tmp_path: Path) -> None:
    archive = exported(cache, "sigmoid-mask", "folder:other")
    with unchanged(cache):
        found = import_archive(cache, archive)
    assert found.added == 0 and found.there > 0
    new = tmp_path / "new"
    own = made_run(new, made_table(new), seed=0)
    (own / "history.csv").write_text("changed here")
    import_archive(new, archive)
    assert (own / "history.csv").read_text() == "changed here"
    assert len(run_folders(new)) == 2 and len(find_tables(new)) == 2


def test_records_that_a_run_lacks_are_added(cache: Path, tmp_path: Path) -> None:
    run = run_folders(cache)[0]
    import_archive(tmp_path / "new", exported(cache, "folder:mine"))
    table = find_tables(tmp_path / "new")[0]
    for other in (cache, tmp_path / "new"):
        made_run(other, table)
    (run / "records").mkdir()
    (run / "records" / "note.txt").write_text("more")
    assert import_archive(tmp_path / "new", exported(cache, run.name)).added == 1
    assert (tmp_path / "new" / "runs" / run.name / "records" / "note.txt").read_text() == "more"


def rewritten(archive: Path, change: Callable[[dict[str, bytes], list[dict[str, object]]], None]) -> None:
    """The same archive with other files or another list."""
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(files.pop(MANIFEST))
    change(files, manifest["files"])
    with tarfile.open(archive, "w") as tar:
        for name, data in {MANIFEST: json.dumps(manifest).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def other_byte(files: dict[str, bytes], listed: list[dict[str, object]]) -> None:
    name = next(name for name in files if name.endswith("head.safetensors"))
    files[name] = files[name][:-1] + b"!"


def file_missing(files: dict[str, bytes], listed: list[dict[str, object]]) -> None:
    files.pop(next(iter(files)))


def file_not_listed(files: dict[str, bytes], listed: list[dict[str, object]]) -> None:
    files["features/made/more.h5"] = b""


def consistent_but_damaged(files: dict[str, bytes], listed: list[dict[str, object]]) -> None:
    """Its own list agrees, but the run is not what training wrote."""
    for each in listed:
        if str(each["path"]).endswith("history.csv"):
            files[str(each["path"])] = b"epoch\n"
            each |= {"bytes": 6, "sha256": hashlib.sha256(b"epoch\n").hexdigest()}


NOT_INSIDE = ("../x", "/etc/x", "runs/../../x", "x", "runs", "runs/./x", "runs\\x/y", "runs/x.tmp/y", "C:/x")


def outside(name: str) -> Callable[[dict[str, bytes], list[dict[str, object]]], None]:
    def change(files: dict[str, bytes], listed: list[dict[str, object]]) -> None:
        listed.append({"path": name, "bytes": 1, "sha256": hashlib.sha256(b"!").hexdigest()})
        files[name] = b"!"

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_byte, "has another SHA-256 than listed"),
        (file_missing, "1 listed files are missing"),
        (file_not_listed, "is not as listed"),
        (consistent_but_damaged, "changed since it was written"),
        *((outside(name), "is not the name of a file of a cache") for name in NOT_INSIDE),
    ],
)
def test_a_wrong_archive_is_refused_whole(
    cache: Path, tmp_path: Path, change: Callable[[dict[str, bytes], list[dict[str, object]]], None], reason: str
) -> None:
    archive = exported(cache, "sigmoid-mask")
    rewritten(archive, change)
    with pytest.raises(UsageError, match=reason):
        import_archive(tmp_path / "new", archive)
    assert contents(tmp_path / "new") == {}
    assert not (tmp_path / "x").exists()


def test_links_are_refused(cache: Path, tmp_path: Path) -> None:
    archive = exported(cache, "sigmoid-mask-1")
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("runs/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(info)
    with pytest.raises(UsageError, match="is not as listed"):
        import_archive(tmp_path / "new", archive)


@pytest.mark.parametrize("cut", [0, 100, 3000, -12000])
def test_a_cut_archive_is_refused(cache: Path, tmp_path: Path, cut: int) -> None:
    archive = exported(cache, "sigmoid-mask")
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UsageError, match="is not a whole archive"):
        import_archive(tmp_path / "new", archive)
    assert contents(tmp_path / "new") == {}


def test_a_table_that_is_being_written_is_not_replaced(cache: Path, tmp_path: Path) -> None:
    archive, table = exported(cache, "folder:mine"), find_tables(cache)[0]
    there = tmp_path / "new" / table.path.relative_to(cache)
    with holding(lock_path(there)), pytest.raises(FercacheError, match="is being written"):
        import_archive(tmp_path / "new", archive)
    assert import_archive(tmp_path / "new", archive) != Imported(0, 0)


def test_unfinished_runs_are_not_exported(cache: Path) -> None:
    run = run_folders(cache)[0]
    (run / "done").unlink()
    with pytest.raises(UsageError, match="not finished"):
        exported(cache, run.name)


def test_equal_caches_give_equal_archives(cache: Path) -> None:
    first = exported(cache, "folder:mine").read_bytes()
    assert exported(cache, "folder:mine").read_bytes() == first
