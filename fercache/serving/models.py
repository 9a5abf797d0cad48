"""The models of a server: loaded when first asked for, the last few kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fercache.errors import nearest
from fercache.predicting.results import PredictedImage
from fercache.serving.limits import Refused

KEPT = 4


class Model(Protocol):
    """What a server needs of a `Predictor`."""

    def __call__(self, images: Sequence[bytes]) -> list[PredictedImage]:
        """Image files -> a result for each, in order."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What the model is and what it was trained on, as JSON."""
        ...


class Models:
    """Models by `names`, of which the first is the default. May be used by several threads at a time."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Model], kept: int = KEPT) -> None:
        self.names, self._load, self._kept = tuple(names), load, kept
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._counting, self._loading = threading.Lock(), threading.Lock()

    def named(self, name: str | None) -> str:
        """The name, or the default for None. Raises Refused for an unknown one."""
        name = self.names[0] if name is None else name
        if name not in self.names:
            raise Refused(404, f"There is no model '{name[:100]}' on this server. {nearest(name, self.names)}")
        return name

    def load(self, name: str) -> Model:
        """The model, loaded unless it is among those kept. Raises what loading raises."""
        if found := self._kept_model(name):
            return found
        with self._loading:
            model = self._kept_model(name) or self._load(name)
            self._keep(name, model)
        return model

    def _kept_model(self, name: str) -> Model | None:
        with self._counting:
            if name in self._loaded:
                self._loaded.move_to_end(name)
            return self._loaded.get(name)

    def _keep(self, name: str, model: Model) -> None:
        with self._counting:
            self._loaded[name] = model
            while len(self._loaded) > self._kept:
                self._loaded.popitem(last=False)
