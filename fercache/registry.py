"""What there is: a file in datasets/, encoders/, heads/ or trunks/ registers itself by being there.

`my_head.py` is `my-head` on the command line; the module says what it offers by the name `plugin`.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from fercache.errors import UsageError, nearest

KINDS = ("datasets", "encoders", "heads", "trunks")


@cache
def names(kind: str) -> tuple[str, ...]:
    """The registered names of one of `KINDS`, sorted; imports none of them."""
    package = importlib.import_module(f"fercache.{kind}")
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__)))


def load(kind: str, name: str) -> Any:
    """The `plugin` of the file that is called `name`. Raises UsageError, naming the nearest, when there is none."""
    if name not in names(kind):
        raise UsageError(f"There is no {kind.removesuffix('s')} called '{name}'. {nearest(name, names(kind))}")
    return importlib.import_module(f"fercache.{kind}.{name.replace('-', '_')}").plugin


def encoder_family(name: str) -> Any:
    """The encoder plugin that knows an `--encoder` value. Raises UsageError when none does."""
    for family in names("encoders"):
        plugin = load("encoders", family)
        if plugin.knows(name):
            return plugin
    raise UsageError(
        f"No encoder is called '{name}'. {nearest(name, names('encoders'))} "
        "Or an open_clip architecture and tag such as ViT-B-32/openai; `fercache list encoders` shows all."
    )
