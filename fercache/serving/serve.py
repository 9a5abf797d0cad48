"""Options -> a server that listens, with its first model loaded."""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from fercache.loading.run_config import RunConfig, read_config
from fercache.options.serve import ServeRequest
from fercache.serving.app import Service, application
from fercache.serving.batching import Batcher, Predict
from fercache.serving.guard import LOOPBACK, Guard
from fercache.serving.limits import Limits
from fercache.serving.models import Models
from fercache.serving.server import address_of, bound, is_loopback, run
from fercache.settings import Settings
from fercache.store.runs import find_runs


@dataclass(frozen=True)
class OpenServer:
    """An application on a listening socket; `run` answers until the process is interrupted."""

    app: ASGIApp
    listening: socket.socket
    is_private: bool

    @property
    def address(self) -> str:
        """Its URL."""
        return address_of(self.listening)

    def run(self) -> None:
        """Answers requests. Raises KeyboardInterrupt at the end."""
        run(self.app, self.listening)


def opened(settings: Settings, request: ServeRequest) -> OpenServer:
    """Takes the address and loads the first model. Raises UsageError for an address or model that cannot be used."""
    from fercache.loading.model_card import model_card

    listening = bound(request.host, request.port)
    models = Models(request.models or known_models(settings), _loader(settings, request))
    print(f"loading {models.names[0]}", file=sys.stderr)
    models.load(models.names[0])
    batcher = Batcher(images=request.batch, seconds=0.004 if request.batch > 1 else 0.0)
    service = Service(models, partial(model_card, settings), batcher, limits=limits_of(request))
    is_private = is_loopback(request.host)
    hosts = LOOPBACK if is_private and not request.token else ()
    return OpenServer(application(service, Guard(request.token, hosts)), listening, is_private)


def known_models(settings: Settings) -> list[str]:
    """Zero-shot, and the methods of all finished runs; of methods that have the same name, the runs."""
    methods: dict[str, list[RunConfig]] = {}
    for folder in find_runs(settings.cache):
        config = read_config(folder)[1]
        methods.setdefault(config.name.rsplit("-", 2)[0], []).append(config)
    unique = {name for name, runs in methods.items() if len({config.method_key for config in runs}) == 1}
    names = ([name] if name in unique else [config.name for config in runs] for name, runs in methods.items())
    return ["zero-shot", *sorted(name for group in names for name in group)]


def limits_of(request: ServeRequest) -> Limits:
    """The limits that a request's options set."""
    return Limits(
        body=request.megabytes * 1_000_000,
        pixels=request.megapixels * 1_000_000,
        faces=request.faces,
        waiting=request.waiting,
        per_client=request.per_client,
        body_seconds=request.timeout,
    )


def _loader(settings: Settings, request: ServeRequest) -> Callable[[str], Predict]:
    from fercache.serving.predictor import load_predictor

    detector = None if request.detector == "none" else request.detector
    return lambda name: load_predictor(name, detector=detector, settings=settings, device=request.device)
