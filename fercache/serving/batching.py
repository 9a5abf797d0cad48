"""Images of several requests -> one call of the predictor, made by one thread."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from fercache.predicting.results import PredictedImage

Predict = Callable[[Sequence[bytes]], list[PredictedImage]]
"""Image files -> a result for each, in order."""


@dataclass(frozen=True)
class GivenImage:
    """An image file of a request, and the number of pixels that its header claims."""

    name: str
    data: bytes
    pixels: int = 0


@dataclass(frozen=True, eq=False)
class _Job:
    predict: Predict
    images: Sequence[GivenImage]
    answer: Future[list[PredictedImage]] = field(default_factory=Future)

    @property
    def pixels(self) -> int:
        return sum(image.pixels for image in self.images)

    def run(self) -> None:
        """Answers this job alone."""
        try:
            self.set(self.predict([image.data for image in self.images]))
        except Exception as error:  # the client gets it; the thread goes on
            self.answer.set_exception(error)

    def set(self, results: Sequence[PredictedImage]) -> None:
        named = [replace(result, name=image.name) for image, result in zip(self.images, results, strict=True)]
        self.answer.set_result(named)


class Batcher:
    """Collects what several threads ask for within `seconds`, at most `images` and `pixels`, into one call.

    A request is never divided, so a larger one is a batch by itself. Under load, a batch is what arrived during the
    previous one.
    """

    def __init__(self, images: int = 32, pixels: int = 50_000_000, seconds: float = 0.004) -> None:
        self._images, self._pixels, self._seconds = images, pixels, seconds
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="fercache-batches", daemon=True)
        self._thread.start()

    def submit(self, predict: Predict, images: Sequence[GivenImage]) -> Future[list[PredictedImage]]:
        """The results to come, with the images' names. Raises RuntimeError after `close`."""
        job = _Job(predict, images)
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._jobs.append(job)
            self._changed.notify()
        return job.answer

    def close(self) -> None:
        """Ends the thread after its current batch; what still waits is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for job in self._jobs:
            job.answer.cancel()

    def _work(self) -> None:
        while jobs := self._next():
            running = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if running:
                _answer(running)

    def _next(self) -> list[_Job]:
        """The next batch; empty when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            end = time.monotonic() + self._seconds
            while not self._closed and not self._full() and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._closed:
                return []
            jobs = self._fitting()
            self._jobs = deque(job for job in self._jobs if job not in jobs)
            return jobs

    def _full(self) -> bool:
        return sum(len(job.images) for job in self._fitting()) >= self._images

    def _fitting(self) -> list[_Job]:
        """The first job, and those after it that fit into its batch."""
        jobs = [self._jobs[0]]
        images, pixels = len(jobs[0].images), jobs[0].pixels
        for job in list(self._jobs)[1:]:
            images, pixels = images + len(job.images), pixels + job.pixels
            if images > self._images or pixels > self._pixels:
                break
            if job.predict is jobs[0].predict:
                jobs.append(job)
        return jobs


def _answer(jobs: Sequence[_Job]) -> None:
    """Answers all jobs by one call; one by one if that fails, so that no request is lost by another's fault."""
    if len(jobs) == 1:
        return jobs[0].run()
    try:
        results = jobs[0].predict([image.data for job in jobs for image in job.images])
    except Exception:
        for job in jobs:
            job.run()
        return None
    rest = iter(results)
    for job in jobs:
        job.set([next(rest) for _ in job.images])
    return None
