"""timm and torchvision, imported without PyTorch's compiler.

A decorator of each makes them load it: two of the five seconds that a command took to start, and nothing here is
compiled. Whoever compiles a network of theirs gets the compiler then.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

COMPILER = ("torch._dynamo", "torch._dynamo.utils")


class _Compiler(ModuleType):
    """Stands for a module of the compiler while libraries are imported."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    @staticmethod
    def disable(function: Any, *_: Any, **__: Any) -> Any:
        """What decorates functions that are not to be compiled."""
        return function

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: getattr(importlib.import_module(self.__name__), name)(*given, **named)


@contextmanager
def _without_compiler() -> Iterator[None]:
    if any(name in sys.modules for name in COMPILER) or not hasattr(torch, "compile"):
        yield
        return
    stand_ins = {name: _Compiler(name) for name in COMPILER}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


try:
    with _without_compiler():
        import timm
        import torchvision
except (ImportError, AttributeError, TypeError):  # versions that need more of it
    import timm
    import torchvision

__all__ = ["timm", "torchvision"]
