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
        "", "Clients must send this token. The variable FERCACHE_TOKEN hides it from other users.", metavar="TEXT"
    )
    faces: str = _OF_PREDICT["faces"]
    unknown_below: float | None = _OF_PREDICT["unknown_below"]
    abstain_at: float | None = _OF_PREDICT["abstain_at"]
    device: str = device_option()
    batch: int = option(32, "Most images computed at a time; 1 computes each request by itself.", ge=1, le=1024)
    megabytes: int = option(20, "Most megabytes of a request.", ge=1, le=1000)
    megapixels: int = option(50, "Most megapixels of a request's images together.", ge=1, le=10_000)
    most_faces: int = option(100, "Most faces of an image.", ge=1, le=10_000)
    waiting: int = option(64, "Most requests that wait at a time.", ge=1, le=10_000)
    per_client: int = option(16, "Most requests of one address that wait at a time.", ge=1, le=10_000)
    timeout: float = option(20.0, "Seconds within which the images of a request must arrive.", gt=0)
