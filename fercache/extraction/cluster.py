"""The engine for many machines: a shard is a task of a Ray cluster, which tries it elsewhere when a worker dies.

The driver lists, hands out shards, and writes what comes back; it holds the table's lock. Workers load the encoder once
and keep it. When the driver dies, the same command goes on with the shards that it has not written.
"""

import importlib.util
import re
import socket
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fercache.datasets import FaceImage
from fercache.encoders import Encoder, EncoderRequest
from fercache.encoders.bundled.reference import load_checked
from fercache.errors import FercacheError, UsageError
from fercache.extraction.listing import UNREAD, Listing
from fercache.extraction.local import Counts, Task, encode_rows
from fercache.progress import progress
from fercache.store.schema import Columns, Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

TRIES = 4
"""Of a shard: it may be what kills the workers."""
AHEAD = 2
"""Shards handed out for each that is worked on, so that no worker waits for the driver."""
SECONDS_TO_ANSWER = 10
CORES_PER_GPU = 8
"""At most: what decodes for one GPU."""

Encoded = tuple[Columns, list[Quarantined], Counts]
Shared = tuple[Task, EncoderRequest, Mapping[str, Any], Mapping[str, KnownFeatures]]
"""What workers fetch once: the task, the encoder asked for and its identity, the features that there are already."""


def extract_on_cluster(
    listing: Listing,
    task: Task,
    encoder: EncoderRequest,
    identity: Mapping[str, Any],
    writer: TableWriter,
    known: Mapping[str, KnownFeatures],
    address: str | None,
) -> Counts:
    """Encodes and writes every shard `writer` misses, on the cluster at `address`.

    The `encoder` is asked for in the precision that the driver settled on, and must turn out to be of that `identity`.
    Raises UsageError without Ray, or a cluster; FercacheError for a shard that cannot be done, and for workers that see
    other files than the driver or have another encoder.
    """
    ray = _connected(address)
    counts, start, missing, faces = Counts(), time.perf_counter(), writer.missing(), listing.faces
    resources, slots = _share(ray, encoder.device)
    encode = ray.remote(**resources, max_retries=TRIES - 1, max_calls=0)(_encode_shard)
    shared = ray.put((task, encoder, dict(identity), dict(known)))
    waiting = list(reversed(missing))
    running: dict[Any, tuple[int, list[FaceImage]]] = {}
    with progress(f"extract {task.name}", len(faces), "face") as bar:
        bar.update(len(faces) - sum(len(writer.rows_of(shard)) for shard in missing))
        while waiting or running:
            while waiting and len(running) < AHEAD * slots:
                shard = waiting.pop()
                rows = [faces[row] for row in writer.rows_of(shard)]
                running[encode.remote(shared, rows)] = shard, rows
            done, _ = ray.wait(list(running), num_returns=1)
            shard, rows = running.pop(done[0])
            columns, quarantined, some = _result(ray, done[0], rows)
            _check_same_files(rows, quarantined)
            listing.check_unchanged(writer.rows_of(shard), columns, quarantined)
            writer.write(shard, columns, quarantined, {"batch_size": task.batch_size})
            bar.update(len(rows))
            for name in ("encoded", "copied", "quarantined"):
                setattr(counts, name, getattr(counts, name) + getattr(some, name))
    counts.seconds = round(time.perf_counter() - start, 3)
    return counts


def _connected(address: str | None) -> Any:
    """Ray, connected. Without an address: to the cluster that this machine belongs to, else to one of its own."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray: pip install 'fercache[ray]'")
    import ray

    if ray.is_initialized():
        return ray
    _knock(address)
    try:
        ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from None
    return ray


def _knock(address: str | None) -> None:
    """Raises UsageError where nobody listens at `HOST:PORT`; Ray itself would try for minutes."""
    match = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address or "")
    try:
        if match:
            socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str | None, error: Exception) -> UsageError:
    return UsageError(f"There is no Ray cluster at {address}: {error}. Start one with `ray start --head`.")


def _share(ray: Any, device: str) -> tuple[dict[str, float], int]:
    """What a task takes, a GPU where there are some, else a core; and how many can run at once.

    No more cores for a GPU than each machine that has GPUs can give: a task that fits no machine waits for ever.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu and device != "cpu":
        cores = min(int(node.get("CPU", 0) // node["GPU"]) for node in with_gpu)
        gpus = sum(int(node["GPU"]) for node in with_gpu)
        return {"num_gpus": 1, "num_cpus": max(1, min(CORES_PER_GPU, cores))}, gpus
    return {"num_cpus": 1}, max(1, sum(int(node.get("CPU", 0)) for node in nodes))


def _encode_shard(shared: Shared, rows: list[FaceImage]) -> Encoded:
    task, request, identity, known = shared
    encoder = _encoder(request)
    if encoder.identity() != identity:
        raise FercacheError(
            f"{encoder.name} is another encoder on a worker than here. All need the same fercache, PyTorch and weights."
        )
    return encode_rows(rows, task, encoder, known)


@cache
def _encoder(request: EncoderRequest) -> Encoder:
    """Once for a worker, which does one shard after another."""
    return load_checked(request)


def _result(ray: Any, reference: Any, rows: Sequence[FaceImage]) -> Encoded:
    about = f"the shard from {rows[0].id} to {rows[-1].id}"
    try:
        encoded: Encoded = ray.get(reference)
        return encoded
    except ray.exceptions.RayTaskError as error:
        raise FercacheError(f"{about} failed on a worker: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise FercacheError(
            f"{about} was tried {TRIES} times, and each time its worker died: {_first_line(error)} Look for a picture "
            "that takes too much memory, or for workers with too little. Finished shards are kept."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check_same_files(rows: Sequence[FaceImage], quarantined: Sequence[Quarantined]) -> None:
    """A file that only the driver can read is no damaged picture."""
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
