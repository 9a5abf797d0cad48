"""The HTTP application: images in, results out as JSON, and a page."""

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fercache.errors import FercacheError
from fercache.predicting.results import PredictedImage
from fercache.serving.batching import Batcher
from fercache.serving.bodies import images_of
from fercache.serving.guard import Guard, Guarded, refusal
from fercache.serving.limits import Gate, Limits, Refused
from fercache.serving.models import Models
from fercache.serving.openapi import description
from fercache.serving.requests import EarlyAnswers, read_body, unless_gone

PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
OPEN = (*PAGE, "/health", "/openapi.json")
"""Paths that need no token: they show nothing of models or images."""


class Service:
    """Answers requests with the `models`, whose work the `batcher` collects."""

    def __init__(self, models: Models, batcher: Batcher, limits: Limits) -> None:
        self.models, self.batcher, self.limits = models, batcher, limits
        self._gate = Gate(limits)

    async def health(self, request: Request) -> Response:
        """That the server lives, and how many requests wait."""
        return JSONResponse({"status": "ok", "version": version("fercache"), "waiting": self._gate.waiting})

    async def names(self, request: Request) -> Response:
        """The models to choose from."""
        return JSONResponse({"models": self.models.names, "default": self.models.names[0]})

    async def model(self, request: Request) -> Response:
        """The card of the model that the query names."""
        name = self.models.named(request.query_params.get("model"))
        model = await run_in_threadpool(self.models.load, name)
        return JSONResponse(await run_in_threadpool(model.describe))

    async def openapi(self, request: Request) -> Response:
        """The description of this interface."""
        return JSONResponse(description(self.limits))

    async def predict(self, request: Request) -> Response:
        """Results of all images in the body, by the model that the query names."""
        name = self.models.named(request.query_params.get("model"))
        with self._gate.visit(request.client.host if request.client else "") as visit:
            body = await read_body(request, self.limits, visit)
            kind = request.headers.get("content-type", "")
            images = await run_in_threadpool(images_of, kind, body, self.limits)
            del body
            model = await run_in_threadpool(self.models.load, name)
            answer = asyncio.wrap_future(self.batcher.submit(model, images))
            results = await unless_gone(answer, request.receive, self.limits)
        self._check_faces(results)
        unreadable = all(result.unreadable for result in results)
        card = await run_in_threadpool(model.describe)
        found = {"model": card, "images": [result.to_dict() for result in results]}
        return JSONResponse(found, status_code=422 if unreadable else 200)

    def _check_faces(self, results: Sequence[PredictedImage]) -> None:
        for result in results:
            if len(result.faces) > self.limits.faces:
                raise Refused(
                    413,
                    f"{result.name} has {len(result.faces)} faces, more than {self.limits.faces}. Send parts of it.",
                )


def application(service: Service, guard: Guard | None = None) -> Starlette:
    """The routes of a service, for those whom the guard lets in (default: everyone)."""
    routes = [
        *(Route(path, _file(*page)) for path, page in PAGE.items()),
        Route("/health", service.health),
        Route("/models", service.names),
        Route("/model", service.model),
        Route("/openapi.json", service.openapi),
        Route("/predict", service.predict, methods=["POST"]),
    ]
    middleware = [Middleware(EarlyAnswers), Middleware(Guarded, guard=guard or Guard(), open_paths=OPEN)]
    handlers: dict[Any, Any] = {
        Refused: lambda request, error: refusal(error.status, error.message),
        HTTPException: lambda request, error: refusal(error.status_code, f"{request.url.path}: {error.detail}"),
        FercacheError: lambda request, error: refusal(500, str(error)),
        MemoryError: lambda request, error: refusal(503, "Out of memory. Send smaller or fewer images."),
        Exception: lambda request, error: refusal(500, "The server failed; its log says why."),
    }
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    text = (files("fercache.serving") / "page" / name).read_text(encoding="utf-8")
    return lambda request: Response(text, media_type=media_type)
