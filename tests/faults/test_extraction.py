"""Interruptions, disks that fail, clocks that jump: afterwards the same command ends with the undisturbed table."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import FercacheError
from fercache.extraction import prepare, threads
from fercache.store import atomic
from fercache.store.tables import FeatureTable, parts_folder, read_table
from tests.faults.kills import same
from tests.pixel_encoder import PixelEncoder
from tests.stages.test_extract import save

FACES, ROWS = 60, 10


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path / "faces" / "happy", FACES)
    return tmp_path / "faces"


def extracted(folder: Path, root: Path) -> Path:
    request = ExtractRequest(
        dataset="folder:mine", root=root, encoder=EncoderRequest(name="pixels"), batch_size=4, shard_rows=ROWS
    )
    return extract(Settings(cache=folder), request)


@pytest.fixture
def whole(tmp_path: Path, root: Path, pixel_encoder: type[PixelEncoder]) -> FeatureTable:
    found = read_table(extracted(tmp_path / "whole", root))
    pixel_encoder.encoded = 0
    return found


def begun(cache: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An extraction that was ended after some shards; the folder of what it left."""
    real, shards = prepare.prepare, []

    def until_the_fourth(*args: object, **more: object) -> object:
        shards.append(1)
        if len(shards) > prepare.SAMPLE + 3 * ROWS + 5:
            raise KeyboardInterrupt
        return real(*args, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare, "prepare", until_the_fourth)
        patch.setattr(threads, "READ_AHEAD", 1)
        patch.setattr(threads, "PER_TASK", 1)
        patch.setattr(threads, "WORKERS", 1)
        extracted(cache, root)
    (parts,) = (cache / "features").glob("*/*.parts")
    assert 1 <= len(list(parts.glob("*.h5"))) < FACES // ROWS
    return parts


def test_what_was_finished_before_an_interruption_is_kept(
    tmp_path: Path, root: Path, whole: FeatureTable, monkeypatch: pytest.MonkeyPatch, pixel_encoder: type[PixelEncoder]
) -> None:
    kept = ROWS * len(list(begun(tmp_path / "cache", root, monkeypatch).glob("*.h5")))
    pixel_encoder.encoded = 0
    assert same(read_table(extracted(tmp_path / "cache", root)), whole)
    assert pixel_encoder.encoded == FACES - kept


@pytest.mark.parametrize("jump", [-(10**9), 10**9])
def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path,
    root: Path,
    whole: FeatureTable,
    jump: int,
    monkeypatch: pytest.MonkeyPatch,
    pixel_encoder: type[PixelEncoder],
) -> None:
    parts = begun(tmp_path / "cache", root, monkeypatch)
    kept = ROWS * len(list(parts.glob("*.h5")))
    for path in [*parts.iterdir(), *root.rglob("*.png")]:
        os.utime(path, (time.time() + jump,) * 2)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - jump)
    pixel_encoder.encoded = 0
    assert same(read_table(extracted(tmp_path / "cache", root)), whole)
    assert pixel_encoder.encoded == FACES - kept


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_shard_that_is_damaged_meanwhile_is_encoded_again(
    tmp_path: Path,
    root: Path,
    whole: FeatureTable,
    harm: str,
    monkeypatch: pytest.MonkeyPatch,
    pixel_encoder: type[PixelEncoder],
) -> None:
    parts = begun(tmp_path / "cache", root, monkeypatch)
    kept = ROWS * (len(list(parts.glob("*.h5"))) - 1)
    shard = parts / "000000.h5"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes({"flipped": data, "cut": data[: len(data) // 2], "gone": b""}[harm])
    if harm == "gone":
        shard.unlink()
    pixel_encoder.encoded = 0
    assert same(read_table(extracted(tmp_path / "cache", root)), whole)
    assert pixel_encoder.encoded == FACES - kept


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("file", ["000002.h5", "folder-mine"])
def test_a_disk_that_fails_ends_it_with_a_sentence_and_loses_nothing(
    tmp_path: Path, root: Path, whole: FeatureTable, monkeypatch: pytest.MonkeyPatch, reason: int, file: str
) -> None:
    real = atomic.sync_file

    def failing(path: Path) -> None:
        if path.name.startswith(file):
            raise OSError(reason, os.strerror(reason))
        real(path)

    with monkeypatch.context() as patch, pytest.raises(FercacheError, match="run the same command again"):
        patch.setattr(atomic, "sync_file", failing)
        extracted(tmp_path / "cache", root)
    assert not list((tmp_path / "cache" / "features").rglob("*.tmp"))
    path = extracted(tmp_path / "cache", root)
    assert same(read_table(path), whole) and not parts_folder(path).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_says_how_to_resume(tmp_path: Path, root: Path, sent: signal.Signals) -> None:
    """A real process, by its command line; the encoder is the bundled one."""
    command = [sys.executable, "-m", "fercache", "extract", "--dataset", "folder:mine", "--root", str(root)]
    command += ["--shard-rows", "5", "--batch-size", "1", "--views", "60", "--device", "cpu", "--precision", "fp32"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        features, deadline = tmp_path / "cache" / "features", time.monotonic() + 60
        while not list(features.rglob("000000.h5")) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(sent)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130, told
    assert "Interrupted. Finished shards and runs are kept; the same command continues from there." in told
    assert "Traceback" not in told
    (parts,) = features.glob("*/*.parts")
    assert (parts / "000000.h5").exists() and not list(features.rglob("*.tmp"))
