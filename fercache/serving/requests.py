"""Requests over slow or hostile connections: reading a body in bounded time and memory, and answering early."""

import asyncio
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fercache.predicting.results import PredictedImage
from fercache.serving.limits import Limits, Refused, Visit

Answer = asyncio.Future[list[PredictedImage]]

DRAIN_SECONDS = 2.0
"""How long the rest of a body is read after an early answer: a connection closed at once loses the answer."""


async def read_body(request: Request, limits: Limits, visit: Visit) -> bytes:
    """The body. Raises Refused for one that is too large, too slow or compressed, and if all together are too large."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "The body is compressed. Send it without Content-Encoding; images are compressed already.")
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal():
        _check_size(int(claimed), limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                _check_size(len(body) + len(chunk), limits)
                visit.hold(len(chunk))
                body += chunk
    except TimeoutError:
        raise Refused(408, f"The body did not arrive within {limits.body_seconds:g} seconds.") from None
    except ClientDisconnect:
        raise Refused(400, "The client closed the connection.") from None
    return bytes(body)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.body:
        raise Refused(413, f"The body has more than {limits.body / 1e6:g} MB. Make the images smaller.")


async def unless_gone(answer: Answer, receive: Receive, limits: Limits) -> list[PredictedImage]:
    """The answer; it is cancelled, and Refused raised, if it takes too long or the client has closed the connection."""
    gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait([answer, gone], timeout=limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if gone.done():
            raise Refused(400, "The client closed the connection.")
        raise Refused(503, f"No answer within {limits.answer_seconds:g} seconds. Try again later.")
    finally:
        answer.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EarlyAnswers:
    """Middleware: an answer sent before the whole body was read closes the connection, after reading some of the rest.

    Otherwise the system would reset the connection, and many clients would report that instead of the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request by the application."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        whole = not _has_body(scope)

        async def noting() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def closing(message: Message) -> None:
            if whole:
                return await send(message)
            if message["type"] == "http.response.start":
                return await send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
            await send({**message, "more_body": True})
            if not message.get("more_body", False):
                await _drain(noting)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return None

        return await self._app(scope, noting, closing)


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


async def _drain(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass
