"""The engine of one machine: threads change nothing but the time, and what fails is heard of."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.errors import FercacheError
from fercache.extraction import local, prepare, threads
from fercache.extraction.listing import list_faces
from fercache.extraction.local import ExtractionTask, extract_shards
from fercache.store.shards import TableWriter
from fercache.store.tables import read_table

DATASET = SimpleNamespace(expressions=("anger",), vote_columns=())


class Slow:
    """An encoder whose batches end in another order than they began; a face's feature is its own colour."""

    name, precision, dimension, at_once, device = "slow", "fp32", 1, 4, "cpu"

    def __init__(self) -> None:
        self.running = self.most_running = 0
        self.threads: list[int] = []
        self.lock = threading.Lock()

    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        return pixels

    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self.lock:
            self.running += 1
            self.most_running = max(self.running, self.most_running)
            self.threads.append(torch.get_num_threads())
        time.sleep(0.02 if faces[0, 0, 0, 0] % 3 else 0.001)
        with self.lock:
            self.running -= 1
        return faces[:, 0, 0, :1].astype(np.float32)


def faces(count: int) -> list[FaceImage]:
    def image(number: int) -> NDArray[np.uint8]:
        return np.full((4, 4, 3), number, np.uint8)

    return [FaceImage(f"{number:03}", lambda number=number: image(number), label="anger") for number in range(count)]


def extracted(path: Path, encoder: Any, count: int = 100) -> NDArray[np.float32]:
    names = {"classes": DATASET.expressions, "vote_columns": ()}
    with TableWriter(path, identity={"encoder": {}}, rows=count, shard_rows=30, **names) as writer:
        extract_shards(list_faces("faces", faces(count)), ExtractionTask("faces", DATASET, 4), encoder, writer=writer)
        return read_table(writer.assemble({})).columns.features["clean"].ravel()


def test_rows_are_in_order_whatever_ends_first(tmp_path: Path) -> None:
    encoder, before = Slow(), torch.get_num_threads()
    assert np.array_equal(extracted(tmp_path / "t.h5", encoder), np.arange(100))
    assert 1 < encoder.most_running <= encoder.at_once
    assert set(encoder.threads) == {1}, "threads that encode side by side each took several cores"
    assert torch.get_num_threads() == before


def test_one_at_a_time_where_the_encoder_says_so(tmp_path: Path) -> None:
    encoder = Slow()
    encoder.at_once = 1
    assert np.array_equal(extracted(tmp_path / "t.h5", encoder), np.arange(100))
    assert encoder.most_running == 1


def test_few_images_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow encoder holds the threads that decode back."""
    monkeypatch.setattr(threads, "READ_AHEAD", 32)
    encoder, encoded, ahead = Slow(), 0, []
    encode = encoder.encode_images

    def counting(some: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal encoded
        ahead.append(read - encoded)
        encoded += len(some)
        return encode(some)

    read = 0
    original = prepare.prepare

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal read
        read += 1
        return original(*args, **more)

    monkeypatch.setattr(encoder, "encode_images", counting)
    monkeypatch.setattr(prepare, "prepare", counted)
    extracted(tmp_path / "t.h5", encoder, 250)
    assert max(ahead) <= 32 + threads.PER_TASK + 4 * local.BATCHES_AHEAD * encoder.at_once + 30


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    encoder = Slow()
    encode = encoder.encode_images
    encoder.encode_images = lambda some: np.where(encode(some) == 77, bad, encode(some))  # type: ignore[method-assign]
    with pytest.raises(FercacheError, match="not finite"):
        extracted(tmp_path / "t.h5", encoder)
    assert np.array_equal(extracted(tmp_path / "t.h5", Slow()), np.arange(100))


def test_a_failure_to_write_is_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: TableWriter, shard: int, *rest: Any, **more: Any) -> None:
        raise FercacheError("the disk is full")

    monkeypatch.setattr(TableWriter, "write", full)
    with pytest.raises(FercacheError, match="the disk is full"):
        extracted(tmp_path / "t.h5", Slow())


def test_an_abandoned_generator_does_not_wait_for_its_threads() -> None:
    """The garbage collector closes it wherever it happens to come by, with locks of threads held or not."""
    held = threading.Event()
    stream = threads.in_threads(faces(200), lambda face: held.wait(30) if face.id > "150" else True)
    next(stream)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 10
    held.set()
