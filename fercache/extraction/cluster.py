"""The engine for many machines: a shard is a task of a Ray cluster.

The driver lists faces, hands out shards, writes the results, and holds the table's lock. Workers load the encoder once
and keep it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from fercache.cluster import Needs, WithPlugins, Work, handed_out
from fercache.datasets import FaceImage
from fercache.detectors import Detector, load_detector
from fercache.encoders import Encoder
from fercache.encoders.bundled.reference import load_checked
from fercache.errors import FercacheError
from fercache.extraction.listing import UNREAD, Listing
from fercache.extraction.local import Counts, Encoded, ExtractionTask, encode_shard
from fercache.extraction.photographs import Found, Looked, search
from fercache.options.extract import EncoderRequest
from fercache.runtime.progress import progress
from fercache.store.schema import Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

BLOCK = 16
"""Photographs in a task that looks for faces."""
Block = tuple[tuple[bytes, FaceImage], ...]

Shared = tuple[ExtractionTask, EncoderRequest, Mapping[str, Any], Mapping[str, KnownFeatures]]
"""What workers fetch once: the task, the encoder request and identity, and the known features."""


def extract_on_cluster(
    listing: Listing,
    task: ExtractionTask,
    encoder: Encoder,
    *,
    writer: TableWriter,
    request: EncoderRequest,
    address: str | None,
) -> Counts:
    """Encodes and writes every missing shard of `writer` on the cluster at `address`.

    Workers load the encoder of `request` in the driver's precision and compare it with the driver's `encoder`. Raises
    UsageError without Ray or a cluster; FercacheError for a shard that fails, and for workers with other files or
    another encoder.
    """
    counts, start = Counts(), time.perf_counter()
    shards = _Shards(listing, {shard: writer.rows_of(shard) for shard in writer.missing()})
    weights = request.weights and request.weights.resolve()
    same = request.but(precision=encoder.precision, weights=weights)
    # The known features are apart and in memory: workers of one machine share arrays that are not pickled, and other
    # machines do not see the cache.
    known = {view: features.in_memory() for view, features in task.known.items()}
    shared = (WithPlugins(replace(task, known={})), same, encoder.key_identity(), known)
    work = Work(_encode_shard, shared, Needs(request.device), name=_name_of, unit="shards")
    with handed_out(work, shards, address) as done, progress(f"extract {task.name}", len(listing.faces), "face") as bar:
        bar.update(len(listing.faces) - sum(map(len, shards.rows.values())))
        for shard, result in done:
            columns, quarantined, some = result()
            _check_same_files(shards[shard], quarantined)
            listing.check_unchanged(shards.rows[shard], columns, quarantined)
            writer.write(shard, columns, quarantined, settled={"batch_size": task.batch_size})
            bar.update(len(shards.rows[shard]))
            counts += some
    return replace(counts, seconds=round(time.perf_counter() - start, 3))


def search_on_cluster(
    photographs: Mapping[bytes, FaceImage], asked: str, identity: Mapping[str, Any], address: str | None
) -> Looked:
    """The hash and the faces of every photograph, by hash, in blocks as they are done: a block is a task.

    Workers load the detector `asked`, whose `identity` must be the driver's. Raises UsageError without Ray or a
    cluster, FercacheError for a block that fails.
    """
    pairs = iter(photographs.items())
    blocks = dict(enumerate(iter(lambda: tuple(islice(pairs, BLOCK)), ())))
    shared = WithPlugins((asked, dict(identity)))
    work = Work(_search_block, shared, Needs("cpu"), name=_name_of_block, unit="blocks of photographs")
    with handed_out(work, blocks, address) as done:
        for _, result in done:
            yield from result()


def _name_of_block(block: Block) -> str:
    return f"the block from {block[0][1].id} to {block[-1][1].id}"


def _search_block(shared: tuple[str, Mapping[str, Any]], block: Block) -> list[tuple[bytes, Found]]:
    asked, identity = shared
    detector = _detector(asked)
    if dict(detector.identity()) != identity:
        raise FercacheError(f"The detector {asked} differs on a worker. All machines need the same fercache and files.")
    return [(sha256, search(photograph, detector)) for sha256, photograph in block]


@cache
def _detector(asked: str) -> Detector:
    """Loaded once per worker."""
    return load_detector(asked)


class _Shards(Mapping[int, Sequence[FaceImage]]):
    """The faces of shards, unpacked on demand: a listing is packed."""

    def __init__(self, listing: Listing, rows: Mapping[int, range]) -> None:
        self._listing, self.rows = listing, rows

    def __getitem__(self, shard: int) -> Sequence[FaceImage]:
        return self._listing.faces_of(self.rows[shard])

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def _name_of(faces: Sequence[FaceImage]) -> str:
    return f"the shard from {faces[0].id} to {faces[-1].id}"


def _encode_shard(shared: Shared, faces: Sequence[FaceImage]) -> Encoded:
    task, request, identity, known = shared
    encoder = _encoder(request)
    if encoder.key_identity() != identity:
        raise FercacheError(
            f"{encoder.name} differs on a worker. All machines need the same fercache, PyTorch and weights."
        )
    return encode_shard(faces, replace(task, known=known), encoder)


@cache
def _encoder(request: EncoderRequest) -> Encoder:
    """Loaded once per worker."""
    return load_checked(request)


def _check_same_files(rows: Sequence[FaceImage], quarantined: Sequence[Quarantined]) -> None:
    """Raises FercacheError for a file that only the driver can read: the image is not damaged."""
    of = {face.id: face for face in rows}
    unread = next((q for q in quarantined if q.reason.startswith(UNREAD)), None)
    if unread is None:
        return
    try:
        of[unread.id].read()
    except OSError:
        return
    raise FercacheError(
        f"{unread.id} can be read here but not by a worker ({unread.reason}). All machines of the cluster must see the "
        "same files under the same paths: mount the same folder on each."
    )
