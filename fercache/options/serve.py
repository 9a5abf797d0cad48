"""Options of `fercache serve`."""

from typing import Any

from fercache.options import Options, device_option, option
from fercache.options.predict import PredictRequest

_OF_PREDICT: Any = PredictRequest.model_fields


class ServeRequest(Options):
    """A server of `models`: "zero-shot", runs and methods. Without them: zero-shot and all finished runs."""

    models: tuple[str, ...] = option(
        (), "Names or keys of runs, methods, or zero-shot. The first is the default.", argument=True
    )
    host: str = option("127.0.0.1", "Address to listen on. 0.0.0.0 is every address of this machine.")
    port: int = option(8000, "Port to listen on; 0 is any free one.", ge=0, le=65535)
    token: str = option(
        "",
        "Token that clients must send. Set the variable FERCACHE_TOKEN instead to hide it from other users.",
        metavar="TEXT",
    )
    faces: str = _OF_PREDICT["faces"]
    unknown_below: float | None = _OF_PREDICT["unknown_below"]
    abstain_at: float | None = _OF_PREDICT["abstain_at"]
    device: str = device_option()
    batch: int = option(
        32, "Largest number of images computed together; 1 computes each request by itself.", ge=1, le=1024
    )
    megabytes: int = option(20, "Largest size of a request, in megabytes.", ge=1, le=1000)
    megapixels: int = option(50, "Largest size of a request's images together, in megapixels.", ge=1, le=10_000)
    most_faces: int = option(100, "Largest number of faces in an image.", ge=1, le=10_000)
    waiting: int = option(64, "Largest number of requests that may wait.", ge=1, le=10_000)
    per_client: int = option(16, "Largest number of requests from one address that may wait.", ge=1, le=10_000)
    timeout: float = option(20.0, "Seconds within which the images of a request must arrive.", gt=0)
