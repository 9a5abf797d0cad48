"""Tasks on a Ray cluster, which repeats those of a dead worker or machine elsewhere.

The driver hands out the tasks of a command and takes their results as they finish. What it has written is kept if it
dies: the same command resumes with the rest.
"""

import importlib.util
import os
import pickle
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fercache.errors import FercacheError, UsageError
from fercache.plugins import use_plugins, used_plugins

TRIES = 4
"""Attempts per task: the task itself may kill the workers."""
AHEAD = 2
"""Tasks handed out per running task, so that no worker waits for the driver."""
CORES_PER_GPU = 8
"""Most cores of a task that has a GPU."""
SECONDS_TO_ANSWER = 10
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The empty settings frame that opens an HTTP/2 connection: length, kind (4), flags, stream."""

_NAMED = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
"""A machine's resource -> Ray's name of it in a task."""

Key = TypeVar("Key")
Result = Callable[[], Any]
"""Returns what a task returned. Raises the task's FercacheError, and a FercacheError for any other failure."""


@dataclass(frozen=True)
class Needs:
    """What a task takes of its machine: a GPU if there are any and `device` is not cpu, else a core, or all of them.

    `memory` is in bytes; 0 asks for none.
    """

    device: str
    all_cores: bool = False
    memory: int = 0


@dataclass(frozen=True)
class Work:
    """The tasks of a command: `do(shared, item)` for each item, whose name in messages is `name(item)`.

    `unit` is the plural of what a task makes. `do` is a function of a module, since workers import it.
    """

    do: Callable[[Any, Any], Any]
    shared: Any
    needs: Needs
    name: Callable[[Any], str]
    unit: str


class WithPlugins:
    """Arrives on a worker as the `value` itself, once the driver's plugin files, which it may need, are known there."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_plugins, (used_plugins(), pickle.dumps(self.value))


def _with_plugins(files: Sequence[str], value: bytes) -> Any:
    use_plugins(files, "the driver's plugins, which every machine of the cluster needs under the same path")
    return pickle.loads(value)


@contextmanager
def handed_out(work: Work, items: Mapping[Key, Any], address: str | None) -> Iterator[Iterator[tuple[Key, Result]]]:
    """The keys of `items`, in the order in which their tasks finish, with their results.

    Tasks that are not finished when the body is left are cancelled. Raises UsageError without Ray or a cluster.
    """
    ray = connected(address)
    share, slots = _share(ray, work.needs)
    print(f"Ray cluster: {slots} {work.unit} at a time", file=sys.stderr)
    taken = {_NAMED[name]: part for name, part in share.items()}
    task = ray.remote(**taken, max_retries=TRIES - 1, max_calls=0)(work.do)
    start = partial(task.remote, ray.put(work.shared))
    running: dict[Any, Key] = {}
    try:
        yield _results(ray, work, items, start=start, running=running, most=AHEAD * slots)
    except KeyboardInterrupt:
        _cancel(ray, running, at_once=True)  # Ray would print a message for each
        ray.shutdown()
        raise
    except BaseException:
        _cancel(ray, running)
        raise


def _cancel(ray: Any, running: Mapping[Any, Any], at_once: bool = False) -> None:
    for reference in running:
        ray.cancel(reference, force=at_once)


def _results(
    ray: Any, work: Work, items: Mapping[Key, Any], *, start: Callable[[Any], Any], running: dict[Any, Key], most: int
) -> Iterator[tuple[Key, Result]]:
    waiting = list(items)[::-1]
    while waiting or running:
        while waiting and len(running) < most:
            key = waiting.pop()
            running[start(WithPlugins(items[key]))] = key
        (done,), _ = ray.wait(list(running), num_returns=1)
        key = running.pop(done)
        yield key, partial(_result, ray, done, name=work.name(items[key]), unit=work.unit)


def _result(ray: Any, reference: Any, name: str, unit: str) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, FercacheError):
            raise cause from error
        raise FercacheError(f"{name} failed on a worker: {type(cause).__name__}: {cause}") from error
    except ray.exceptions.RayError as error:
        raise FercacheError(
            f"{name} was tried {TRIES} times, and each time its worker died: {_first_line(error)} It may take more "
            f"memory than its machine has. Finished {unit} are kept."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _share(ray: Any, needs: Needs) -> tuple[dict[str, int], int]:
    """The resources of a task, by their names in Ray, and how many tasks can run at once.

    No task asks for more cores or memory than a machine has: it would wait for ever.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu and needs.device != "cpu":
        nodes = with_gpu
        cores = min(int(node.get("CPU", 0) // node["GPU"]) for node in nodes)
        share = {"GPU": 1, "CPU": max(1, min(CORES_PER_GPU, cores))}
    else:
        nodes = [node for node in nodes if node.get("CPU", 0) >= 1]
        share = {"CPU": min((int(node["CPU"]) for node in nodes), default=1) if needs.all_cores else 1}
    if needs.memory:
        share["memory"] = min(needs.memory, max((int(node.get("memory", 0)) for node in nodes), default=0))
    slots = sum(min(int(node.get(name, 0) // part) for name, part in share.items() if part) for node in nodes)
    return share, max(1, slots)


def cores_of_task() -> int:
    """The cores that the current task has."""
    import ray

    resources: Mapping[str, float] = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 1))


def connected(address: str | None) -> Any:
    """Ray, connected to `address`; without one, to the cluster of this machine, else to a new one.

    The signal handlers are restored: Ray's own would print a stack.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray: pip install 'fercache[ray]'")
    import ray

    if ray.is_initialized():
        return ray
    check_address(address)
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


def check_address(address: str | None) -> None:
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
            f"--address {address}: ray:// ports are for Ray's client, which cannot hand out tasks. Run this on "
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
