"""Throughput and latency of `fercache serve`, in batches and one by one: `python -m tests.serving.load`.

Exit code 1 if any request fails.
"""

import argparse
import http.client
import io
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from fercache.synthetic_faces import EXPRESSIONS, draw, sample_face
from tests.scenes import compose, drawn_portraits
from tests.serving.process import Server, peak_memory, processor_seconds, started

IMAGES = 24
SIDE = 112
FACES = 4


@dataclass(frozen=True)
class Load:
    """What clients measured within `seconds`: milliseconds of each answer, and what failed.

    `processor` is what the server used of a processor, in seconds, which depends less on what else the machine does.
    """

    seconds: float
    processor: float
    milliseconds: Sequence[float]
    failures: Sequence[str]

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.seconds + other.seconds,
            self.processor + other.processor,
            [*self.milliseconds, *other.milliseconds],
            [*self.failures, *other.failures],
        )

    @property
    def rate(self) -> float:
        return len(self.milliseconds) / self.seconds

    def __str__(self) -> str:
        p50, p99 = np.percentile(self.milliseconds, (50, 99))
        failed = f"{len(self.failures)} failed {self.failures[:1]}" if self.failures else "no error"
        each = 1000 * self.processor / len(self.milliseconds)
        spent = f"{each:.1f} ms of processor each, p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        return f"{self.rate:7.1f} requests/s, {spent}, {failed}"


def as_jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def crops() -> list[bytes]:
    """Faces that are not searched for."""
    numbered = enumerate(EXPRESSIONS * IMAGES)
    return [as_jpeg(draw(sample_face(3, n, "webcam", expression), SIDE)) for n, expression in numbered][:IMAGES]


def photographs() -> list[bytes]:
    """Scenes of 960 x 720 pixels in which faces are searched for."""
    portraits = drawn_portraits()
    return [as_jpeg(compose([next(portraits) for _ in range(FACES)], seed)[0]) for seed in range(IMAGES)]


def measure(server: Server, images: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Each client sends an image as soon as it has the answer to the last one."""
    milliseconds: list[float] = []
    failures: list[str] = []
    begin, end = time.monotonic(), time.monotonic() + seconds
    used = processor_seconds(server.process.pid)
    work = partial(_client, server.port, images, end=end, milliseconds=milliseconds, failures=failures)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = processor_seconds(server.process.pid) - used
    return Load(time.monotonic() - begin, used, milliseconds, failures)


def _client(
    port: int, images: Sequence[bytes], place: int, *, end: float, milliseconds: list[float], failures: list[str]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while (start := time.monotonic()) < end:
        connection.request("POST", "/predict", images[place % len(images)], {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            milliseconds.append(1000 * (time.monotonic() - start))
        else:
            failures.append(f"{answer.status} {text[:200]!r}")
        place += 1
    connection.close()


def compared(images: Sequence[bytes], clients: int, seconds: float, options: Sequence[str]) -> bool:
    """Prints both; whether nothing failed. The one is measured between two halves of the other."""
    with started("--batch", "1", *options) as alone, started("--batch", "32", *options) as together:
        for server in (alone, together):
            measure(server, images, 2, 2)
        batched = measure(together, images, clients, seconds / 2)
        one_by_one = measure(alone, images, clients, seconds)
        batched += measure(together, images, clients, seconds / 2)
        print(f"  one by one: {one_by_one}\n  in batches: {batched}")
        print(
            f"  ratio {batched.rate / one_by_one.rate:.2f}; peak memory {peak_memory(together.process.pid)} MB",
            flush=True,
        )
    return not batched.failures and not one_by_one.failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.serving.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("options", nargs="*", help="options of fercache serve, after --")
    asked = parser.parse_args()
    right = True
    for kind in (crops, photographs):
        print(f"{kind.__name__}, {asked.clients} clients, {asked.seconds:g} s each", flush=True)
        right &= compared(kind(), asked.clients, asked.seconds, asked.options)
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
