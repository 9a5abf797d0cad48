"""The engine for one machine: threads decode, the main thread encodes, each finished shard goes to disk."""

import hashlib
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import Dataset, FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError
from fercache.extraction.decode import Unreadable, decode, looks_like_no_face_crop
from fercache.identity import pixel_hash
from fercache.progress import Bar, progress
from fercache.store.schema import Columns, Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

PHASES = logging.getLogger("fercache.phases")
CLEAN = "clean"
FP32 = "Use --precision fp32, and check the weights."
READ_AHEAD = 512
"""Faces decoded ahead of the encoder: what bounds memory."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A face ready to be encoded: `pixels` (S, S, 3) uint8, hashes of the file and of the decoded picture."""

    pixels: NDArray[np.uint8]
    file_sha256: bytes
    pixel_sha256: bytes
    warning: str | None


@dataclass
class Counts:
    """What an extraction did."""

    encoded: int = 0
    copied: int = 0
    quarantined: int = 0
    seconds: float = 0.0


def prepare(face: FaceImage, encoder: Encoder) -> Prepared | Quarantined:
    """Read, decode, crop, hash, resize. What cannot be read comes back as a line for the quarantine list."""
    try:
        data = face.read()
        pixels = decode(data, face.box)
    except Unreadable as error:
        return Quarantined(face.id, str(error))
    except OSError as error:
        return Quarantined(face.id, f"cannot be read: {error.strerror or error}")
    file_sha256 = hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()
    warning = looks_like_no_face_crop(pixels)
    return Prepared(encoder.preprocess(pixels), file_sha256, pixel_hash(pixels), warning)


def prepared_faces(faces: Sequence[FaceImage], encoder: Encoder) -> Iterator[tuple[FaceImage, Prepared | Quarantined]]:
    """`prepare` in threads, in order, never more than READ_AHEAD faces in memory."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: deque[tuple[FaceImage, Future[Prepared | Quarantined]]] = deque()
        try:
            for face in faces:
                waiting.append((face, pool.submit(prepare, face, encoder)))
                if len(waiting) >= READ_AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def extract_shards(
    faces: Sequence[FaceImage],
    dataset: Dataset,
    encoder: Encoder,
    writer: TableWriter,
    known: KnownFeatures,
    batch_size: int,
    name: str,
) -> Counts:
    """Encode and write every shard that `writer` still misses."""
    counts, start = Counts(), time.perf_counter()
    missing = writer.missing()
    rows = {shard: writer.rows_of(shard) for shard in missing}
    stream = prepared_faces([faces[row] for shard in missing for row in rows[shard]], encoder)
    with progress(f"extract {name}", len(faces), "face") as bar:
        bar.update(len(faces) - sum(map(len, rows.values())))
        for shard in missing:
            kept: list[tuple[FaceImage, Prepared]] = []
            quarantined: list[Quarantined] = []
            for _ in rows[shard]:
                face, result = next(stream)
                if isinstance(result, Quarantined):
                    quarantined.append(result)
                else:
                    kept.append((face, result))
                    _warn_once(name, face, result.warning)
            PHASES.debug("shard %d: encoding", shard)
            features = _features([p for _, p in kept], encoder, known, batch_size, counts, bar)
            writer.write(shard, _columns(kept, features, dataset), quarantined, {"batch_size": batch_size})
            counts.quarantined += len(quarantined)
            bar.update(len(quarantined))
    counts.seconds = time.perf_counter() - start
    return counts


def _features(
    prepared: list[Prepared],
    encoder: Encoder,
    known: KnownFeatures,
    batch_size: int,
    counts: Counts,
    bar: Bar,
) -> NDArray[np.floating]:
    kind = np.float32 if encoder.precision == "fp32" else np.float16
    features = np.empty((len(prepared), encoder.dimension), dtype=kind)
    unknown = []
    for row, face in enumerate(prepared):
        found = known.get(face.pixel_sha256)
        if found is None:
            unknown.append(row)
        else:
            features[row] = found
    counts.copied += len(prepared) - len(unknown)
    counts.encoded += len(unknown)
    bar.update(len(prepared) - len(unknown))
    for begin in range(0, len(unknown), batch_size):
        batch = unknown[begin : begin + batch_size]
        encoded = encoder.encode_images(np.stack([prepared[row].pixels for row in batch]))
        if not np.isfinite(encoded).all():
            raise FercacheError(f"{encoder.name} in {encoder.precision} gave features that are not finite. {FP32}")
        features[batch] = encoded
        bar.update(len(batch))
    return features


def _columns(kept: list[tuple[FaceImage, Prepared]], features: NDArray[np.floating], dataset: Dataset) -> Columns:
    faces = [face for face, _ in kept]
    index = {name: i for i, name in enumerate(dataset.expressions)}
    votes = None
    if dataset.vote_columns:
        votes = np.array([face.votes for face in faces], dtype=np.int16).reshape(-1, len(dataset.vote_columns))
    return Columns(
        id=np.array([face.id for face in faces], dtype=object),
        split=np.array([face.split for face in faces], dtype=object),
        subject=np.array([face.subject for face in faces], dtype=object),
        group=np.array([face.group for face in faces], dtype=object),
        label=np.array([-1 if face.label is None else index[face.label] for face in faces], dtype=np.int16),
        votes=votes,
        features={CLEAN: features},
        file_sha256=_digests([p.file_sha256 for _, p in kept]),
        pixel_sha256=_digests([p.pixel_sha256 for _, p in kept]),
    )


def _digests(digests: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


_warned: set[str] = set()


def _warn_once(name: str, face: FaceImage, warning: str | None) -> None:
    if warning and name not in _warned:
        _warned.add(name)
        print(f"warning: {face.id} {warning}; {name} may need face crops, or a `box` column.", file=sys.stderr)
