"""A source that several runs are trained on, one after the other."""

from typing import Any

from fercache.loading.sources import Source, read_source
from fercache.options.train import TrainRequest
from fercache.settings import Settings


class LastSource:
    """Reads sources, and keeps the last one for those who ask for it again."""

    def __init__(self) -> None:
        self._asked: object = None
        self._source: Source | None = None

    def read(self, settings: Settings, request: TrainRequest, *, content_key: str = "", **asked: Any) -> Source:
        """The same as `read_source`; one with another `content_key` is read again."""
        wanted = (settings.cache, request.but(heads=(), seeds=(0,), set={}), content_key, asked)
        if self._source is None or wanted != self._asked:
            self._source = None  # its memory is free before the next one is read
            self._source, self._asked = read_source(settings, request, **asked), wanted
        return self._source
