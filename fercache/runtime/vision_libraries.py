"""timm and torchvision, imported without PyTorch's compiler.

A decorator in each loads it, which took two of the five seconds that a command took to start, and fercache compiles
nothing. Code that compiles one of their networks still gets the compiler.
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
    """Replaces a module of the compiler while libraries are imported."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    @staticmethod
    def disable(function: Any, *_: Any, **__: Any) -> Any:
        """A decorator that changes nothing."""
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
except (ImportError, AttributeError, TypeError):  # library versions that need more of the compiler
    import timm
    import torchvision

__all__ = ["timm", "torchvision"]
