"""Who may use a server, and the headers that keep its page to itself."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fercache.serving.limits import RETRY_SECONDS

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Guard:
    """Lets in requests with the `token` and a Host among `hosts`; "" and () let in all.

    Without the hosts, a website could let its own name point at this machine, and read answers as from its own server.
    """

    token: str = ""
    hosts: tuple[str, ...] = ()

    def knows_host(self, headers: Headers) -> bool:
        """Whether the Host of a request is allowed."""
        host = headers.get("host", "")
        return not self.hosts or (host if host.endswith("]") else host.rpartition(":")[0] or host) in self.hosts

    def knows_token(self, headers: Headers) -> bool:
        """Whether a request has the token; compared in constant time."""
        given = headers.get("authorization", "")
        return not self.token or hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())


def refusal(status: int, message: str) -> JSONResponse:
    """A message for the client, as JSON."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"error": message}, status_code=status, headers=headers)


class Guarded:
    """Middleware: asks the guard, except for the token of `open_paths`; adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp, guard: Guard, open_paths: Collection[str]) -> None:
        self._app, self._guard, self._open = app, guard, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request by the application, or refuses it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (self._refused(scope) or self._app)(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        if scope["type"] != "http":
            return None
        headers = Headers(scope=scope)
        if not self._guard.knows_host(headers):
            return refusal(403, f"Host is {headers.get('host', '')[:100]!r}. Use http://localhost, or set a token.")
        if scope["path"] not in self._open and not self._guard.knows_token(headers):
            return refusal(401, "The token is missing or wrong. Send the header: Authorization: Bearer TOKEN")
        return None
