"""The engine for one machine: threads decode, others encode, and one writes each finished shard."""

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fercache.datasets import Dataset, FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError
from fercache.extraction.listing import UNREAD, Listing
from fercache.identity import content_hash, pixel_hash
from fercache.images.colours import Unreadable
from fercache.images.decode import looks_like_no_face
from fercache.images.views import CLEAN as CLEAN_RECIPE
from fercache.images.views import Recipe, draw_view, view_names
from fercache.runtime.progress import Bar, progress
from fercache.store.schema import CLEAN, Columns, Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

Result = TypeVar("Result")

PHASES = logging.getLogger("fercache.phases")
FP32 = "Use --precision fp32, and check the weights."
PER_TASK = 32
"""Faces per decoding task: handing over single small images costs more than decoding them."""
WORKERS = max(1, (os.cpu_count() or 1) - 1)
"""Decoding threads. One more would mostly wait for the interpreter's lock."""
READ_AHEAD = 512
"""Faces decoded ahead of the encoder; this bounds memory, together with waiting batches and shards."""
BATCHES_AHEAD = 2
"""Batches per encoding thread, including the current one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A face ready to be encoded: its views, each (S, S, 3) uint8, and hashes of the file and the decoded image.

    `crop` is the clean view at another side, if requested.
    """

    views: tuple[NDArray[np.uint8], ...]
    crop: NDArray[np.uint8] | None
    file_sha256: bytes
    pixel_sha256: bytes
    warning: str | None


@dataclass
class Counts:
    """The outcome of an extraction."""

    encoded: int = 0
    copied: int = 0
    quarantined: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Views:
    """The clean view, and the first `count` of a recipe."""

    recipe: Recipe = CLEAN_RECIPE
    count: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the table, the clean view first."""
        return (CLEAN, *view_names(self.recipe, self.count))

    def render(self, pixels: NDArray[np.uint8], pixel_sha256: bytes, encoder: Encoder) -> tuple[NDArray[np.uint8], ...]:
        """All views of a decoded image, each (S, S, 3)."""
        drawn = (draw_view(self.recipe, number, pixel_sha256) for number in range(self.count + 1))
        return tuple(view.on_square(encoder.preprocess(view.on_image(pixels))) for view in drawn)


CLEAN_VIEW = Views()


@dataclass(frozen=True)
class Task:
    """What all shards of a table share."""

    name: str
    dataset: Dataset
    batch_size: int
    views: Views = CLEAN_VIEW


def prepare(
    face: FaceImage, encoder: Encoder, views: Views = CLEAN_VIEW, crop_side: int | None = None
) -> Prepared | Quarantined:
    """Read, decode, crop, hash, render. An unreadable image becomes a line of the quarantine list."""
    try:
        data = face.read()
        pixels = face.pixels(data)
    except Unreadable as error:
        return Quarantined(face.id, str(error))
    except OSError as error:
        return Quarantined(face.id, f"{UNREAD}: {error.strerror or error}")
    warning = looks_like_no_face(pixels) if face.corruption is None else None
    pixel_sha256 = pixel_hash(pixels)
    crop = None if crop_side is None else encoder.preprocess(pixels, crop_side)
    return Prepared(views.render(pixels, pixel_sha256, encoder), crop, content_hash(data), pixel_sha256, warning)


def prepared_faces(
    faces: Sequence[FaceImage],
    encoder: Encoder,
    views: Views = CLEAN_VIEW,
    crop_side: int | None = None,
    workers: int | None = None,
) -> Iterator[tuple[FaceImage, Prepared | Quarantined]]:
    """`prepare` in threads, in order, with about READ_AHEAD faces in memory."""
    return in_threads(faces, partial(prepare, encoder=encoder, views=views, crop_side=crop_side), workers)


def in_threads(
    faces: Sequence[FaceImage], do: Callable[[FaceImage], Result], workers: int | None = None
) -> Iterator[tuple[FaceImage, Result]]:
    """Each face with the result of `do`, called in threads; in order, with about READ_AHEAD faces in memory."""

    def do_some(some: Sequence[FaceImage]) -> list[Result]:
        return [do(face) for face in some]

    pool = ThreadPoolExecutor(workers or WORKERS)
    waiting: deque[tuple[Sequence[FaceImage], Future[list[Result]]]] = deque()
    try:
        for begin in range(0, len(faces), PER_TASK):
            some = faces[begin : begin + PER_TASK]
            waiting.append((some, pool.submit(do_some, some)))
            if len(waiting) * PER_TASK >= READ_AHEAD:
                first, future = waiting.popleft()
                yield from zip(first, future.result(), strict=True)
        for first, future in waiting:
            yield from zip(first, future.result(), strict=True)
    finally:
        # After an error the garbage collector closes this generator, possibly while a thread lock is held:
        # waiting for a thread then could deadlock.
        pool.shutdown(wait=False, cancel_futures=True)


def extract_shards(
    listing: Listing, task: Task, encoder: Encoder, writer: TableWriter, known: Mapping[str, KnownFeatures]
) -> Counts:
    """Encodes and writes every missing shard of `writer`.

    Raises FercacheError for features that are not finite, and for images that changed since they were listed.
    """
    faces = listing.faces
    counts, start = Counts(), time.perf_counter()
    missing = writer.missing()
    rows = {shard: writer.rows_of(shard) for shard in missing}
    stream = prepared_faces([faces[row] for shard in missing for row in rows[shard]], encoder, task.views)

    def write(shard: int, collected: _Shard) -> None:
        columns = collected.columns(task.dataset)
        listing.check_unchanged(rows[shard], columns, collected.quarantined)
        writer.write(shard, columns, collected.quarantined, {"batch_size": task.batch_size})

    with (
        progress(f"extract {task.name}", len(faces), "face") as bar,
        one_core_each(),
        _dropping(ThreadPoolExecutor(encoder.at_once)) as encoding,
        _dropping(ThreadPoolExecutor(1)) as writing,
    ):
        bar.update(len(faces) - sum(map(len, rows.values())))
        queue = _Queue(encoder, encoding)
        written: Future[None] | None = None
        for shard in missing:
            PHASES.debug("shard %d: encoding", shard)
            collected = _Shard(encoder, queue, known, task.batch_size, bar, counts)
            collected.take(islice(stream, len(rows[shard])), task.name)
            if written is not None:
                written.result()
            written = writing.submit(write, shard, collected)
        if written is not None:
            written.result()
    counts.seconds = round(time.perf_counter() - start, 3)
    return counts


def encode_rows(
    faces: Sequence[FaceImage], task: Task, encoder: Encoder, known: Mapping[str, KnownFeatures]
) -> tuple[Columns, list[Quarantined], Counts]:
    """One shard, with as many threads as the encoder takes: one task of a cluster."""
    counts = Counts()
    with (
        tqdm(disable=True) as bar,
        one_core_each(),
        _dropping(ThreadPoolExecutor(encoder.at_once)) as encoding,
    ):
        collected = _Shard(encoder, _Queue(encoder, encoding), known, task.batch_size, bar, counts)
        collected.take(prepared_faces(faces, encoder, task.views, workers=encoder.at_once), task.name)
        return collected.columns(task.dataset), collected.quarantined, counts


@contextmanager
def one_core_each() -> Iterator[None]:
    """Threads started within compute on one core each: there are as many as cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _dropping(pool: Executor) -> Iterator[Executor]:
    """`pool`; its waiting tasks are dropped if the body fails or is interrupted."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Queue:
    """Batches on their way through the encoder, just enough to keep it busy."""

    def __init__(self, encoder: Encoder, threads: Executor) -> None:
        self._encoder, self._threads = encoder, threads
        self._room = threading.Semaphore(BATCHES_AHEAD * encoder.at_once)

    def submit(self, faces: Sequence[NDArray[np.uint8]]) -> "Future[NDArray[np.float32]]":
        """The future features of `faces`; waits until there is room."""
        self._room.acquire()
        future = self._threads.submit(self._encode, faces)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _encode(self, faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        encoded = self._encoder.encode_images(np.stack(faces))
        if not np.isfinite(encoded).all():
            name, precision = self._encoder.name, self._encoder.precision
            raise FercacheError(f"{name} in {precision} returned features that are not finite. {FP32}")
        return encoded


class _Shard:
    """Collects a shard's rows and sends them to the encoder in batches.

    `known` are the features in other tables, by view.
    """

    def __init__(
        self,
        encoder: Encoder,
        queue: _Queue,
        known: Mapping[str, KnownFeatures],
        batch_size: int,
        bar: Bar,
        counts: Counts,
    ) -> None:
        self.encoder, self.queue, self.known = encoder, queue, known
        self.batch_size, self.bar, self.counts = batch_size, bar, counts
        self.faces: list[FaceImage] = []
        self.hashes: list[tuple[bytes, bytes]] = []
        self.features: dict[str, list[NDArray[np.floating]]] = {view: [] for view in known}
        self.quarantined: list[Quarantined] = []
        self._waiting: list[tuple[str, int, NDArray[np.uint8]]] = []
        self._encoding: list[tuple[list[tuple[str, int]], Future[NDArray[np.float32]]]] = []

    def take(self, rows: Iterable[tuple[FaceImage, Prepared | Quarantined]], name: str) -> None:
        """Takes all rows of the shard; `name` is the dataset's, for warnings."""
        for face, result in rows:
            self.add(face, result)
            if isinstance(result, Prepared):
                _warn_once(name, face, result.warning)
        self.encode_waiting()

    def add(self, face: FaceImage, result: Prepared | Quarantined) -> None:
        """Takes the next row: copied, queued for encoding, or quarantined."""
        if isinstance(result, Quarantined):
            self.quarantined.append(result)
            self.counts.quarantined += 1
            self.bar.update()
            return
        self.faces.append(face)
        self.hashes.append((result.file_sha256, result.pixel_sha256))
        self.bar.update()
        for (view, known), pixels in zip(self.known.items(), result.views, strict=True):
            found = known.get(result.pixel_sha256)
            self.counts.copied += found is not None
            if found is None:
                self._waiting.append((view, len(self.features[view]), pixels))
                found = np.empty(0, np.float32)  # its place, until its batch is encoded
            self.features[view].append(found)
            if len(self._waiting) == self.batch_size:
                self.encode_waiting()

    def encode_waiting(self) -> None:
        """Submits the faces gathered since the last batch."""
        if not self._waiting:
            return
        places = [(view, row) for view, row, _ in self._waiting]
        self._encoding.append((places, self.queue.submit([pixels for *_, pixels in self._waiting])))
        self.counts.encoded += len(self._waiting)
        self._waiting.clear()

    def columns(self, dataset: Dataset) -> Columns:
        """The readable rows in the store's form, once all are encoded."""
        for places, encoded in self._encoding:
            for (view, row), feature in zip(places, encoded.result(), strict=True):
                self.features[view][row] = feature
        index = {name: i for i, name in enumerate(dataset.expressions)}
        # Half precision loses nothing beyond what a reduced precision already lost.
        kind = np.float32 if self.encoder.precision == "fp32" else np.float16
        shape = (-1, self.encoder.dimension)
        features = {view: np.array(rows, dtype=kind).reshape(shape) for view, rows in self.features.items()}
        votes = None
        if dataset.vote_columns:
            votes = np.array([face.votes for face in self.faces], np.int16).reshape(-1, len(dataset.vote_columns))
        return Columns(
            id=np.array([face.id for face in self.faces], dtype=object),
            split=np.array([face.split for face in self.faces], dtype=object),
            subject=np.array([face.subject for face in self.faces], dtype=object),
            group=np.array([face.group for face in self.faces], dtype=object),
            label=np.array([-1 if face.label is None else index[face.label] for face in self.faces], dtype=np.int16),
            votes=votes,
            features=features,
            file_sha256=_digests([file for file, _ in self.hashes]),
            pixel_sha256=_digests([pixels for _, pixels in self.hashes]),
        )


def _digests(digests: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


_warned: set[tuple[str, str]] = set()
"""Pairs of dataset and kind of warning already printed."""


def _warn_once(name: str, face: FaceImage, warning: str | None) -> None:
    kind = (name, re.sub(r"\d+", "", warning or ""))
    if warning and kind not in _warned:
        _warned.add(kind)
        print(f"warning: {name}: {face.id} {warning}. Similar images are not named.", file=sys.stderr)
