"""The models of a server: loaded when first asked for, the last few kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from fercache.errors import nearest
from fercache.serving.batching import Predict
from fercache.serving.limits import Refused

KEPT = 4


class Models:
    """Predictors by `names`, of which the first is the default. May be used by several threads at a time."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Predict], kept: int = KEPT) -> None:
        self.names, self._load, self._kept = tuple(names), load, kept
        self._loaded: OrderedDict[str, Predict] = OrderedDict()
        self._lock = threading.Lock()

    def named(self, name: str | None) -> str:
        """The name, or the default for None. Raises Refused for an unknown one."""
        name = self.names[0] if name is None else name
        if name not in self.names:
            raise Refused(404, f"There is no model '{name[:100]}' on this server. {nearest(name, self.names)}")
        return name

    def load(self, name: str) -> Predict:
        """The predictor, loaded unless it is among those kept. Raises what loading raises."""
        with self._lock:
            predict = self._loaded.get(name) or self._load(name)
            self._loaded[name] = predict
            self._loaded.move_to_end(name)
            while len(self._loaded) > self._kept:
                self._loaded.popitem(last=False)
            return predict
