"""The application on a socket of this machine."""

import asyncio
import ipaddress
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from fercache.errors import UsageError

HEADER_SECONDS = 10.0
"""A connection whose next request has not begun by then is closed."""
CONNECTIONS = 512
STOP_SECONDS = 10


class TimedProtocol(H11Protocol):  # type: ignore[misc, unused-ignore]  # uvicorn is not installed everywhere
    """HTTP/1.1, closing connections whose headers arrive too slowly; uvicorn itself waits for them for ever."""

    def connection_made(self, transport: Any) -> None:
        """Starts waiting for the first request."""
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        """Starts waiting for the next request."""
        super().on_response_complete()
        self._expect_request()

    def _expect_request(self) -> None:
        self.loop.call_later(HEADER_SECONDS, self._close_unless_after, self.cycle)

    def _close_unless_after(self, last: Any) -> None:
        if self.cycle is last and not self.transport.is_closing():
            self.transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """A socket with an address; port 0 is any free one. Raises UsageError if the address cannot be used."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: {error.strerror or error}. Choose another port; 0 is any free one."
        ) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """The URL of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def http_server(app: ASGIApp) -> uvicorn.Server:
    """A server that logs no request, only its own failures."""
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return uvicorn.Server(config)


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Answers until the process is interrupted."""
    with listening:
        asyncio.run(http_server(app).serve(sockets=[listening]))
