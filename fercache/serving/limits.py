"""What a server accepts, so that no client exhausts its memory or time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RETRY_SECONDS = 1
BODIES_HELD = 12
"""Bodies of the largest size that may be in memory at a time."""


class Refused(Exception):  # noqa: N818 - describes the request
    """A request that is not answered: an HTTP `status` from 400 to 599, and a message for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Limits:
    """The most that a request, a client and all clients together may ask for.

    `body` is in bytes, `pixels` is the sum over a request's images, and `faces` is per image. `waiting` requests are
    accepted at a time, `per_client` of them from one address. A body must arrive within `body_seconds`, and its answer
    be found within `answer_seconds`.
    """

    body: int = 20_000_000
    images: int = 64
    pixels: int = 50_000_000
    faces: int = 100
    waiting: int = 64
    per_client: int = 16
    body_seconds: float = 20.0
    answer_seconds: float = 60.0


class Visit:
    """An accepted request, which holds bytes in memory until it is answered."""

    def __init__(self, gate: "Gate") -> None:
        self._gate, self.held = gate, 0

    def hold(self, count: int) -> None:
        """Raises Refused if all requests together would hold too much."""
        if self._gate.held + count > self._gate.limits.body * BODIES_HELD:
            raise Refused(503, "The server is receiving too many images at a time. Try again in a second.")
        self._gate.held += count
        self.held += count


class Gate:
    """Counts requests that are being answered. Used by the event loop alone, so without a lock."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.held = limits, 0
        self._by_client: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """The number of requests that are being answered."""
        return self._by_client.total()

    @contextmanager
    def visit(self, client: str) -> Iterator[Visit]:
        """Raises Refused if the client, or all clients together, have too many requests waiting."""
        if self._by_client[client] >= self.limits.per_client:
            raise Refused(429, f"{self.limits.per_client} requests of this client are waiting. Send fewer at a time.")
        if self.waiting >= self.limits.waiting:
            raise Refused(503, f"{self.limits.waiting} requests are waiting. Try again in a second.")
        self._by_client[client] += 1
        visit = Visit(self)
        try:
            yield visit
        finally:
            self.held -= visit.held
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
