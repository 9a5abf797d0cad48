"""Options -> a server that listens, with its first model loaded."""

import socket
import sys
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from fercache.errors import UsageError
from fercache.loading.models import ZERO_SHOT, method_name
from fercache.loading.run_config import RunConfig, read_config
from fercache.options.serve import ServeRequest
from fercache.predicting.predictor import load_predictor
from fercache.serving.app import Service, application
from fercache.serving.batching import Batcher
from fercache.serving.guard import LOOPBACK, Guard
from fercache.serving.limits import Limits
from fercache.serving.models import Model, Models
from fercache.serving.server import address_of, bound, is_loopback, run
from fercache.settings import Settings
from fercache.store.runs import find_runs


@dataclass(frozen=True)
class OpenServer:
    """An application on a socket that listens; `run` answers until the process is interrupted."""

    app: ASGIApp
    listening: socket.socket
    batcher: Batcher
    is_private: bool

    @property
    def address(self) -> str:
        """Its URL."""
        return address_of(self.listening)

    def run(self) -> None:
        """Answers requests. Raises KeyboardInterrupt at the end."""
        try:
            run(self.app, self.listening)
        finally:
            self.batcher.close()  # a thread that still computes when Python ends could crash it


def opened(settings: Settings, request: ServeRequest) -> OpenServer:
    """Takes the address and loads the first model. Raises UsageError for an address or model that cannot be used."""
    listening = bound(request.host, request.port)
    models = Models(request.models or known_models(settings), partial(_load, settings, request))
    print(f"loading {models.names[0]}", file=sys.stderr)
    models.load(models.names[0])
    listening.listen()
    batcher = Batcher(images=request.batch, seconds=0.004 if request.batch > 1 else 0.0)
    service = Service(models, batcher, limits_of(request))
    is_private = is_loopback(request.host)
    hosts = LOOPBACK if is_private and not request.token else ()
    app = application(service, Guard(request.token, hosts))
    return OpenServer(app, listening, batcher, is_private=is_private)


def known_models(settings: Settings) -> list[str]:
    """Zero-shot, and the methods of all finished runs; of methods that have the same name, the runs.

    Damaged runs are left out, with a warning.
    """
    methods: dict[str, list[RunConfig]] = {}
    for folder in find_runs(settings.cache):
        try:
            config = read_config(folder)[1]
        except UsageError as error:
            print(f"warning: a run is left out: {error}", file=sys.stderr)
        else:
            methods.setdefault(method_name(config), []).append(config)
    unique = {name for name, runs in methods.items() if len({config.method_key for config in runs}) == 1}
    names = ([name] if name in unique else [config.name for config in runs] for name, runs in methods.items())
    return [ZERO_SHOT, *sorted(name for group in names for name in group)]


def limits_of(request: ServeRequest) -> Limits:
    """The limits that a request's options set."""
    return Limits(
        body=request.megabytes * 1_000_000,
        pixels=request.megapixels * 1_000_000,
        faces=request.most_faces,
        waiting=request.waiting,
        per_client=request.per_client,
        body_seconds=request.timeout,
    )


def _load(settings: Settings, request: ServeRequest, name: str) -> Model:
    return load_predictor(
        name,
        detector=request.faces,
        settings=settings,
        device=request.device,
        unknown_below=request.unknown_below,
        abstain_at=request.abstain_at,
    )
