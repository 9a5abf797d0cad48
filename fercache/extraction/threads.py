"""The same work for many faces, images or other items, in threads and in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PER_TASK = 32
"""Faces per decoding task: handing over single small images costs more than decoding them."""
WORKERS = max(1, (os.cpu_count() or 1) - 1)
"""Decoding threads. One more would mostly wait for the interpreter's lock."""
READ_AHEAD = 512
"""Faces decoded ahead of the encoder; this bounds memory, together with waiting batches and shards."""


def in_threads(
    faces: Iterable[Item],
    do: Callable[[Item], Result],
    workers: int | None = None,
    *,
    per_task: int | None = None,
    ahead: int | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Each face with the result of `do`, called in threads; in order, with about `ahead` faces in memory."""
    size, most, rest = per_task or PER_TASK, ahead or READ_AHEAD, iter(faces)

    def do_some(some: Sequence[Item]) -> list[tuple[Item, Result]]:
        return [(face, do(face)) for face in some]

    pool = ThreadPoolExecutor(workers or WORKERS)
    waiting: deque[Future[list[tuple[Item, Result]]]] = deque()
    try:
        while some := tuple(islice(rest, size)):
            waiting.append(pool.submit(do_some, some))
            if len(waiting) * size >= most:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # After an error the garbage collector closes this generator, possibly while a thread lock is held:
        # waiting for a thread then could deadlock.
        pool.shutdown(wait=False, cancel_futures=True)
