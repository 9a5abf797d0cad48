"""The engine for one machine: threads decode, others encode, and one writes each finished shard."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.datasets import Dataset, FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError
from fercache.extraction.listing import Listing
from fercache.extraction.prepare import CLEAN_VIEW, Prepared, RequestedViews, prepared_faces
from fercache.runtime.progress import Bar, progress
from fercache.store.schema import TEXT, Columns, Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

PHASES = logging.getLogger("fercache.phases")
BATCHES_AHEAD = 2
"""Batches per encoding thread, including the current one."""

Rows = Iterable[tuple[FaceImage, Prepared | Quarantined]]
Submit = Callable[[Sequence[NDArray[np.uint8]]], "Future[NDArray[np.float32]]"]


@dataclass(frozen=True)
class Counts:
    """The outcome of an extraction, or of some shards."""

    encoded: int = 0
    copied: int = 0
    quarantined: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.encoded + other.encoded, self.copied + other.copied, self.quarantined + other.quarantined, self.seconds
        )


Encoded = tuple[Columns, list[Quarantined], Counts]
"""A shard: the readable rows, in order, the other images, and counts."""


@dataclass(frozen=True)
class ExtractionTask:
    """What all shards of a table share. `known` are the features in other tables, by view."""

    name: str
    dataset: Dataset
    batch_size: int
    views: RequestedViews = CLEAN_VIEW
    known: Mapping[str, KnownFeatures] = field(default_factory=dict)


def extract_shards(listing: Listing, task: ExtractionTask, encoder: Encoder, *, writer: TableWriter) -> Counts:
    """Encodes and writes every missing shard of `writer`.

    Raises FercacheError for features that are not finite, and for images that changed since they were listed.
    """
    counts, start = Counts(), time.perf_counter()
    shards = {shard: writer.rows_of(shard) for shard in writer.missing()}
    faces = chain.from_iterable(map(listing.faces_of, shards.values()))

    def write(shard: int, collected: _Shard) -> Counts:
        columns, quarantined, some = collected.encoded()
        listing.check_unchanged(writer.rows_of(shard), columns, quarantined)
        writer.write(shard, columns, quarantined, settled={"batch_size": task.batch_size})
        return some

    with (
        progress(f"extract {task.name}", len(listing.faces), "face") as bar,
        _encoding(encoder) as submit,
        _threads(1) as writing,
    ):
        bar.update(len(listing.faces) - sum(map(len, shards.values())))
        stream = _counted(prepared_faces(faces, encoder, task.views), bar)
        written: list[Future[Counts]] = []
        for shard, rows in shards.items():
            PHASES.debug("shard %d: encoding", shard)
            collected = _Shard(islice(stream, len(rows)), task, encoder, submit=submit)
            counts = sum((each.result() for each in written), counts)
            written = [writing.submit(write, shard, collected)]
        counts = sum((each.result() for each in written), counts)
    return replace(counts, seconds=round(time.perf_counter() - start, 3))


def encode_shard(faces: Sequence[FaceImage], task: ExtractionTask, encoder: Encoder) -> Encoded:
    """One shard, with as many threads as the encoder takes: one task of a cluster."""
    rows = prepared_faces(faces, encoder, task.views, workers=encoder.at_once)
    with _encoding(encoder) as submit:
        return _Shard(rows, task, encoder, submit=submit).encoded()


def _counted(rows: Rows, bar: Bar) -> Rows:
    for row in rows:
        yield row
        bar.update()


@contextmanager
def _encoding(encoder: Encoder) -> Iterator[Submit]:
    """A function that hands a batch of faces over to the encoder, and waits while there are enough to keep it busy."""
    room = threading.Semaphore(BATCHES_AHEAD * encoder.at_once)

    def encode(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        encoded = encoder.encode_images(np.stack(faces))
        if not np.isfinite(encoded).all():
            raise FercacheError(
                f"{encoder.name} in {encoder.precision} returned features that are not finite. Use --precision fp32, "
                "and check the weights."
            )
        return encoded

    def submit(faces: Sequence[NDArray[np.uint8]]) -> "Future[NDArray[np.float32]]":
        room.acquire()
        future = threads.submit(encode, faces)
        future.add_done_callback(lambda _: room.release())
        return future

    with one_core_each(), _threads(encoder.at_once) as threads:
        yield submit


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
def _threads(count: int) -> Iterator[Executor]:
    """Threads whose waiting tasks are dropped if the body fails or is interrupted."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Shard:
    """The rows of a shard. Features that no other table has are encoded in batches, which `submit` takes."""

    def __init__(self, rows: Rows, task: ExtractionTask, encoder: Encoder, *, submit: Submit) -> None:
        self._task, self._encoder, self._submit = task, encoder, submit
        self._faces: list[FaceImage] = []
        self._hashes: list[tuple[bytes, bytes]] = []
        self._quarantined: list[Quarantined] = []
        self._features: dict[str, list[NDArray[np.floating]]] = {view: [] for view in task.views.names}
        self._waiting: list[tuple[str, int, NDArray[np.uint8]]] = []
        self._batches: list[tuple[list[tuple[str, int]], Future[NDArray[np.float32]]]] = []
        for face, result in rows:
            if isinstance(result, Quarantined):
                self._quarantined.append(result)
            else:
                self._add(face, result)
        self._encode_waiting()

    def _add(self, face: FaceImage, prepared: Prepared) -> None:
        self._faces.append(face)
        self._hashes.append((prepared.file_sha256, prepared.pixel_sha256))
        for (view, features), pixels in zip(self._features.items(), prepared.views, strict=True):
            known = self._task.known.get(view)
            found = None if known is None else known.get(prepared.pixel_sha256)
            if found is None:
                self._waiting.append((view, len(features), pixels))
                found = np.empty(0, np.float32)  # its place, until its batch is encoded
            features.append(found)
            if len(self._waiting) == self._task.batch_size:
                self._encode_waiting()
        _warn_once(self._task.name, face, prepared.warning)

    def _encode_waiting(self) -> None:
        if self._waiting:
            places = [(view, row) for view, row, _ in self._waiting]
            self._batches.append((places, self._submit([pixels for *_, pixels in self._waiting])))
            self._waiting.clear()

    def encoded(self) -> Encoded:
        """The rows in the store's form, once all are encoded."""
        for places, batch in self._batches:
            for (view, row), feature in zip(places, batch.result(), strict=True):
                self._features[view][row] = feature
        faces, dataset = self._faces, self._task.dataset
        index = {name: number for number, name in enumerate((None, *dataset.expressions), -1)}
        votes = np.array([face.votes for face in faces], np.int16) if dataset.vote_columns else None
        # Half precision loses nothing beyond what a reduced precision already lost.
        kind = np.float32 if self._encoder.precision == "fp32" else np.float16
        columns = Columns(
            **{name: np.array([getattr(face, name) for face in faces], object) for name in TEXT},
            label=np.array([index[face.label] for face in faces], np.int16),
            votes=None if votes is None else votes.reshape(-1, len(dataset.vote_columns)),
            features={
                view: np.array(rows, kind).reshape(-1, self._encoder.dimension) for view, rows in self._features.items()
            },
            file_sha256=_digests([file for file, _ in self._hashes]),
            pixel_sha256=_digests([pixels for _, pixels in self._hashes]),
        )
        encoded = sum(len(places) for places, _ in self._batches)
        copied = len(faces) * len(self._features) - encoded
        return columns, self._quarantined, Counts(encoded, copied, len(self._quarantined))


def _digests(digests: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


_warned: set[tuple[str, str]] = set()
"""Pairs of dataset and kind of warning already printed."""


def _warn_once(name: str, face: FaceImage, warning: str | None) -> None:
    kind = (name, re.sub(r"\d+", "", warning or ""))
    if warning and kind not in _warned:
        _warned.add(kind)
        print(f"warning: {name}: {face.id} {warning}. Similar images are not named.", file=sys.stderr)
