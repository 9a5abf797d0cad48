"""Requests made to exhaust, confuse or stop a server: `python -m tests.serving.hostile`.

Exit code 1 unless every one is refused (4xx, or a closed connection where no answer is possible), the server then still
answers, and its memory has stayed below the limit.
"""

import argparse
import base64
import json
import random
import socket
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache

from tests.images.test_decode import DAMAGED, image
from tests.serving.process import peak_memory, started
from tests.serving.served import Client, image_file

CLOSED = 0
"""Instead of a status: the server closed the connection without an answer."""
TOO_LARGE = 100_000_000
CLIENTS = 8
MEGABYTES = 1200

Attack = Callable[["Connection", random.Random], None]


class Connection:
    """A connection on which anything may be sent."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, *pieces: bytes, pause: float = 0.0) -> bool:
        """Whether all pieces were sent before the server answered or closed the connection."""
        with suppress(OSError):
            for piece in pieces:
                self._socket.sendall(piece)
                if pause and self._answered_within(pause):
                    return False
            return True
        return False

    def post(self, body: bytes, kind: str, *more: str, length: int | None = None) -> None:
        headers = [f"Content-Type: {kind}", f"Content-Length: {len(body) if length is None else length}", *more]
        self.send(head("POST", "/predict", *headers), body)

    def leave(self) -> None:
        """Closes the connection without reading."""
        self._socket.close()

    def status(self) -> int:
        """The status of the answer, or CLOSED."""
        with suppress(OSError):
            line = self._socket.recv(12)
            return int(line[9:12]) if line.startswith(b"HTTP/1.1") else CLOSED
        return CLOSED

    def _answered_within(self, seconds: float) -> bool:
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
            return True
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(30)


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


# ---- images


def damaged(connection: Connection, chance: random.Random) -> None:
    data = chance.choice(DAMAGED[1:])[0](image(chance.randrange(1000)))
    connection.post(data, "application/octet-stream")


def truncated(connection: Connection, chance: random.Random) -> None:
    data = image_file(640, 480, chance.choice(["PNG", "JPEG", "BMP", "WEBP"]))
    connection.post(data[: chance.randrange(1, len(data) // 2)], "image/png")


@cache
def bomb_file() -> bytes:
    """81 megapixels in 80 kB."""
    side = 9000
    rows = zlib.compress(bytes(side * (side + 1)))
    chunks = ((b"IHDR", side.to_bytes(4) * 2 + b"\x08\0\0\0\0"), (b"IDAT", rows), (b"IEND", b""))
    parts = (len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bomb(connection: Connection, chance: random.Random) -> None:
    connection.post(bomb_file(), "image/png")


@cache
def large_file() -> str:
    """9 megapixels, as base64."""
    return base64.b64encode(image_file(3000, 3000)).decode()


def many_large(connection: Connection, chance: random.Random) -> None:
    """Each within the limit, together not."""
    connection.post(json.dumps({"images": [large_file()] * 20}).encode(), "application/json")


# ---- bodies


def of_100_megabytes(connection: Connection, chance: random.Random) -> None:
    piece = bytes(1_000_000)
    connection.post(b"", "image/png", length=TOO_LARGE)
    connection.send(*[piece] * (TOO_LARGE // len(piece)))


def of_100_megabytes_in_chunks(connection: Connection, chance: random.Random) -> None:
    piece = b"%x\r\n" % 1_000_000 + bytes(1_000_000) + b"\r\n"
    connection.send(head("POST", "/predict", "Content-Type: image/png", "Transfer-Encoding: chunked"))
    connection.send(*[piece] * (TOO_LARGE // 1_000_000))


def slow(connection: Connection, chance: random.Random) -> None:
    connection.post(b"", "image/png", length=1000)
    connection.send(*[b"x"] * 1000, pause=0.1)


def cut_off(connection: Connection, chance: random.Random) -> None:
    """The client leaves in the middle."""
    connection.post(image_file()[:40], "image/png", length=1000)
    connection.leave()


def of_another_kind(connection: Connection, chance: random.Random) -> None:
    kind = chance.choice(
        ["text/plain", "application/xml", "video/mp4", "", "x" * 200, "application/x-www-form-urlencoded"]
    )
    connection.post(chance.randbytes(chance.randrange(1, 5000)), kind)


def compressed(connection: Connection, chance: random.Random) -> None:
    connection.post(zlib.compress(bytes(10_000_000)), "image/png", "Content-Encoding: gzip")


def json_of_another_form(connection: Connection, chance: random.Random) -> None:
    bodies = [b"[" * 1_000_000, b'{"a":' * 100_000, b"1" * 1_000_000, b'{"images": {}}', b"\xff\xfe", b"null", b"NaN"]
    bodies += [
        json.dumps({"images": images}).encode() for images in ([None], [[]], [{"data": 1}], ["?"], [""] * 10_000)
    ]
    connection.post(chance.choice(bodies), "application/json")


def form_of_another_form(connection: Connection, chance: random.Random) -> None:
    part = b"--x\r\nContent-Disposition: form-data; name=a; filename=a.png\r\n\r\n"
    bodies = [
        b"--x\r\n" * 100_000,
        part + b"a\r\n",
        (part + b"a\r\n") * 5000 + b"--x--\r\n",
        b"--x\r\n" + b"h: " * 100_000,
    ]
    connection.post(chance.choice(bodies), f"multipart/form-data; boundary={chance.choice(['x', '', 'y' * 1000])}")


# ---- HTTP


def no_http(connection: Connection, chance: random.Random) -> None:
    connection.send(chance.randbytes(chance.randrange(20, 2000)) + b"\r\n\r\n")


def huge_headers(connection: Connection, chance: random.Random) -> None:
    connection.send(head("POST", "/predict", *(f"X-{number}: {'x' * 1000}" for number in range(1000))))


def another_path(connection: Connection, chance: random.Random) -> None:
    path = chance.choice(["/../../etc/passwd", "/%00", "/predict/", "/page/..%2f..%2fapp.py", "/%ff" * 500])
    connection.send(head(chance.choice(["GET", "POST", "PUT", "DELETE"]), path, "Content-Length: 0"))


def another_method(connection: Connection, chance: random.Random) -> None:
    connection.send(head(chance.choice(["PUT", "DELETE", "PATCH", "BREW"]), "/predict", "Content-Length: 0"))


def another_model(connection: Connection, chance: random.Random) -> None:
    name = chance.choice(["../../secret", "%00", "x" * 5000, "%F0%9F%98%80"])
    connection.send(head("POST", f"/predict?model={name}", "Content-Type: image/png", "Content-Length: 0"))


ATTACKS: tuple[Attack, ...] = (
    *(damaged, truncated, bomb, many_large, of_100_megabytes, of_100_megabytes_in_chunks, slow, cut_off),
    *(of_another_kind, compressed, json_of_another_form, form_of_another_form),
    *(no_http, huge_headers, another_path, another_method, another_model),
)
MAY_CLOSE = (cut_off, no_http)
"""Attacks that leave nobody to answer, or nothing to answer to."""


def attack(port: int, number: int) -> tuple[str, int]:
    """The name of an attack, and its status."""
    chosen = ATTACKS[number % len(ATTACKS)]
    connection = Connection(port)
    chosen(connection, random.Random(number))
    status = connection.status()
    connection.leave()
    return chosen.__name__, status


def outcomes(port: int, requests: int) -> Iterator[tuple[str, int]]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield from pool.map(lambda number: attack(port, number), range(requests))


def wrong(found: Counter[tuple[str, int]]) -> list[tuple[str, int]]:
    """Attacks that were not refused."""
    may_close = {each.__name__ for each in MAY_CLOSE}
    return [one for one in found if not (400 <= one[1] < 500 or (one[1] == CLOSED and one[0] in may_close))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.serving.hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    asked = parser.parse_args()
    bomb_file(), large_file()
    with started("--timeout", "5") as server:
        client = Client(server.port)
        assert client.post(image_file(300, 300)).status == 200
        before, start = peak_memory(server.process.pid), time.monotonic()
        found = Counter(outcomes(server.port, asked.requests))
        seconds, after = time.monotonic() - start, peak_memory(server.process.pid)
        lives = client.post(image_file(300, 300)).status == 200 and client.get("/health").json["waiting"] == 0
    for (name, status), count in sorted(found.items()):
        print(f"{name:30} {status or 'closed':>6} {count:5}")
    print(f"{asked.requests} requests in {seconds:.0f} s; peak memory {before} MB before, {after} MB after")
    print(f"not refused: {wrong(found) or 'none'}; the server {'lives' if lives else 'IS DEAD'}")
    return int(bool(wrong(found)) or not lives or after > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
