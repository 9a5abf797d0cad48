"""The engine for many machines: a shard is a task of a Ray cluster, which retries it elsewhere if a worker dies.

The driver lists faces, hands out shards, writes the results, and holds the table's lock. Workers load the encoder once
and keep it. If the driver dies, the same command resumes with the unfinished shards.
"""

import importlib.util
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.encoders.bundled.reference import load_checked
from fercache.errors import FercacheError, UsageError
from fercache.extraction.listing import UNREAD, Listing
from fercache.extraction.local import Counts, Encoded, ExtractionTask, encode_shard
from fercache.options.extract import EncoderRequest
from fercache.plugins import use_plugins, used_plugins
from fercache.runtime.progress import progress
from fercache.store.schema import Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures

TRIES = 4
"""Attempts per shard: the shard itself may kill the workers."""
AHEAD = 2
"""Shards handed out per running task, so that no worker waits for the driver."""
SECONDS_TO_ANSWER = 10
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The empty settings frame that opens an HTTP/2 connection: length, kind (4), flags, stream."""
CORES_PER_GPU = 8
"""Most cores that decode for one GPU."""

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
    ray = _connected(address)
    counts, start = Counts(), time.perf_counter()
    shards = {shard: writer.rows_of(shard) for shard in writer.missing()}
    resources, slots = _share(ray, request.device)
    print(f"Ray cluster: {slots} shards at a time", file=sys.stderr)
    encode = ray.remote(**resources, max_retries=TRIES - 1, max_calls=0)(_encode_shard)
    weights = request.weights and request.weights.resolve()
    same = request.but(precision=encoder.precision, weights=weights)
    # The known features are apart and in memory: workers of one machine share arrays that are not pickled, and other
    # machines do not see the cache.
    known = {view: features.in_memory() for view, features in task.known.items()}
    shared = ray.put((_WithPlugins(replace(task, known={})), same, encoder.key_identity(), known))
    waiting = list(reversed(shards))
    running: dict[Any, int] = {}
    with progress(f"extract {task.name}", len(listing.faces), "face") as bar, _given_up(ray, running):
        bar.update(len(listing.faces) - sum(map(len, shards.values())))
        while waiting or running:
            while waiting and len(running) < AHEAD * slots:
                shard = waiting.pop()
                running[encode.remote(shared, _WithPlugins(listing.faces_of(shards[shard])))] = shard
            done, _ = ray.wait(list(running), num_returns=1)
            shard = running.pop(done[0])
            faces = listing.faces_of(shards[shard])
            columns, quarantined, some = _result(ray, done[0], faces)
            _check_same_files(faces, quarantined)
            listing.check_unchanged(shards[shard], columns, quarantined)
            writer.write(shard, columns, quarantined, settled={"batch_size": task.batch_size})
            bar.update(len(faces))
            counts += some
    return replace(counts, seconds=round(time.perf_counter() - start, 3))


class _WithPlugins:
    """Arrives on a worker as the `value` itself, once the driver's plugin files, which it may need, are known there."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_plugins, (used_plugins(), pickle.dumps(self.value))


def _with_plugins(files: Sequence[str], value: bytes) -> Any:
    use_plugins(files, "the driver's plugins, which every machine of the cluster needs under the same path")
    return pickle.loads(value)


@contextmanager
def _given_up(ray: Any, running: Mapping[Any, Any]) -> Iterator[None]:
    """Cancels the tasks if the body is interrupted: Ray would print a message for each."""
    try:
        yield
    except KeyboardInterrupt:
        for reference in running:
            ray.cancel(reference, force=True)
        ray.shutdown()
        raise


def _connected(address: str | None) -> Any:
    """Ray, connected to `address`; without one, to the cluster of this machine, else to a new one.

    The signal handlers are restored: Ray's own would print a stack.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray: pip install 'fercache[ray]'")
    import ray

    if ray.is_initialized():
        return ray
    _knock(address)
    with _our_signals():
        try:
            ray.init(address=address or "auto", log_to_driver=True)
        except (ConnectionError, RuntimeError, ValueError) as error:
            if address is not None:
                raise _no_cluster(address, error) from None
            _start_alone(ray)
    return ray


def _start_alone(ray: Any) -> None:
    """Starts a cluster that only this machine can reach, since a Ray cluster runs code from any client."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # Ray's name for listening beyond the loopback address
    with _environment("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"):
        ray.init(address="local", include_dashboard=False, log_to_driver=True)
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if not addresses <= {"127.0.0.1", "::1"}:
        print(f"warning: this version of Ray is open to the network at {', '.join(sorted(addresses))}", file=sys.stderr)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


@contextmanager
def _our_signals() -> Iterator[None]:
    """Restores the handlers of SIGINT and SIGTERM. Only the main thread has any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit:  # from Ray's handler during start-up
        raise KeyboardInterrupt from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _knock(address: str | None) -> None:
    """Raises UsageError for a malformed address, and if no Ray server answers soon.

    Ray itself would try for minutes. Its servers speak HTTP/2, and send the first frame.
    """
    if address in (None, "auto", "local"):
        return
    match = re.fullmatch(r"(?:ray://)?(\[.+\]|[^/:]+):(\d+)", str(address))
    if match is None:
        raise UsageError(f"--address {address}: expected HOST:PORT, as `ray start --head` prints it, or auto.")
    if str(address).startswith("ray://"):
        raise UsageError(
            f"--address {address}: ray:// ports are for Ray's client, which cannot hand out shards. Run this on "
            "a machine of the cluster, with --address auto or HOST:PORT (by default port 6379)."
        )
    try:
        with socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=SECONDS_TO_ANSWER) as stream:
            stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
            answer = stream.recv(len(_SETTINGS))
    except TimeoutError:
        raise _no_cluster(address, f"no answer within {SECONDS_TO_ANSWER} seconds") from None
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None
    if answer[3:4] != _SETTINGS[3:4]:
        raise _no_cluster(address, "the server there is not Ray")


def _no_cluster(address: str | None, error: object) -> UsageError:
    return UsageError(f"There is no Ray cluster at {address}: {error}. Start one with `ray start --head`.")


def _share(ray: Any, device: str) -> tuple[dict[str, float], int]:
    """The resources of a task (a GPU if there are any, else a core), and how many tasks can run at once.

    A GPU task asks for no more cores than any GPU machine has: a task that fits no machine waits for ever.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu and device != "cpu":
        cores = min(int(node.get("CPU", 0) // node["GPU"]) for node in with_gpu)
        gpus = sum(int(node["GPU"]) for node in with_gpu)
        return {"num_gpus": 1, "num_cpus": max(1, min(CORES_PER_GPU, cores))}, gpus
    return {"num_cpus": 1}, max(1, sum(int(node.get("CPU", 0)) for node in nodes))


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


def _result(ray: Any, reference: Any, rows: Sequence[FaceImage]) -> Encoded:
    about = f"the shard from {rows[0].id} to {rows[-1].id}"
    try:
        encoded: Encoded = ray.get(reference)
        return encoded
    except ray.exceptions.RayTaskError as error:
        raise FercacheError(f"{about} failed on a worker: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise FercacheError(
            f"{about} was tried {TRIES} times, and each time its worker died: {_first_line(error)} Look for an image "
            "that takes too much memory, or for workers with too little. Finished shards are kept."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
