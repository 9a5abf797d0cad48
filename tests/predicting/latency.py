"""Faces per second of a warm predictor, from one thread and from eight.

`python -m tests.predicting.latency [DETECTOR]`

Processor time is that of all threads; it says more than the clock on a machine that does other work as well.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import fercache
from tests.scenes import compose, drawn_portraits
from tests.scenes.portraits import resized

THREADS, REPEATS = (1, 8), 10


def measured(call: Callable[[], object], threads: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor for one call, with so many threads calling REPEATS times each."""

    def work() -> None:
        for _ in range(REPEATS):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    clock, processor = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    calls = threads * REPEATS
    return (time.perf_counter() - clock) / calls, (time.process_time() - processor) / calls


def main(detector: str = "auto") -> None:
    """Prints a row for each kind of request."""
    predictor = fercache.load_predictor(detector=detector)
    portraits = list(islice(drawn_portraits(), 64))
    crops = [np.asarray(resized(portrait, 64).convert("RGB")) for portrait in portraits]
    scene, truths = compose(portraits[:5], sides=(80, 160))
    requests: dict[str, tuple[Sequence[NDArray[np.uint8]], int]] = {
        "one crop": (crops[:1], 1),
        "64 crops": (crops, 64),
        f"a photograph of 960 x 720 with {len(truths)} faces": ([scene], len(truths)),
    }
    for name, (images, faces) in requests.items():
        predictor(images)
        for threads in THREADS:
            clock, processor = measured(lambda images=images: predictor(images), threads)  # type: ignore[misc]
            print(
                f"{name}, {threads} threads: {clock * 1000 / faces:.2f} ms per face by the clock, "
                f"{processor * 1000 / faces:.2f} of the processor; {faces / clock:.0f} faces/s"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
