"""A server on a free port, with a predictor that finds what a test wants, and a client without magic."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image

from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from fercache.predicting.results import PredictedFace, PredictedImage
from fercache.serving.app import Service, application
from fercache.serving.batching import Batcher
from fercache.serving.guard import Guard
from fercache.serving.limits import Limits
from fercache.serving.models import Model, Models
from fercache.serving.server import bound, http_server

SHARES = {"happiness": 0.75, "neutral": 0.2, "anger": 0.05}


def image_file(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(stream, kind)
    return stream.getvalue()


@dataclass
class FakePredictor:
    """Finds `faces` in each image, in the middle; `calls` are the numbers of images; waits for `let_go`."""

    faces: int = 1
    name: str = "fake"
    calls: list[int] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.let_go.set()

    def __call__(self, images: Sequence[bytes]) -> list[PredictedImage]:
        self.calls.append(len(images))
        assert self.let_go.wait(20)
        return [self._one(image) for image in images]

    def describe(self) -> dict[str, Any]:
        runs = [{"run": "a" * 60, "temperature": 0.123456}, {"run": "b", "seed": None}]
        return {
            "model": self.name,
            "encoder": {"name": "bundled"},
            "trained_on": ["x", "y"],
            "runs": runs,
            "scores": [],
        }

    def _one(self, image: bytes) -> PredictedImage:
        try:
            height, width, _ = decode(image).shape
        except Unreadable as error:
            return PredictedImage("", unreadable=str(error))
        box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        face = PredictedFace("happiness", SHARES, box, 0.9, landmarks=((width / 2, height / 2),) * 5)
        return PredictedImage("", width, height, (face,) * self.faces)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Speaks to a server; one connection for each request."""

    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()})
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def post(self, body: Any, kind: str = "image/png", path: str = "/predict") -> Answer:
        return self.send("POST", path, body, {"Content-Type": kind})


@contextmanager
def served(
    models: Model | Mapping[str, Model], limits: Limits | None = None, guard: Guard | None = None, images: int = 32
) -> Iterator[Client]:
    """A client of a server of a model, named "fake", or of several; `images` are those of a batch."""
    named = models if isinstance(models, Mapping) else {"fake": models}
    batcher = Batcher(images)
    service = Service(Models(list(named), named.__getitem__), batcher, limits or Limits())
    server = http_server(application(service, guard))
    with bound("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield Client(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
            batcher.close()
