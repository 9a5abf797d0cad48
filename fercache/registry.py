"""What there is: a file in datasets/, encoders/, heads/, trunks/ or reporting/sections/
registers itself by being there.

`my_head.py` is `my-head` on the command line; the module defines it as `plugin`.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from fercache.errors import UsageError, nearest

PACKAGES = {
    "datasets": "fercache.datasets",
    "encoders": "fercache.encoders",
    "heads": "fercache.heads",
    "trunks": "fercache.trunks",
    "report_sections": "fercache.reporting.sections",
}
KINDS = tuple(PACKAGES)


@cache
def names(kind: str) -> tuple[str, ...]:
    """The registered names of one of `KINDS`, sorted; imports none of them. `_name.py` is no plugin."""
    package = importlib.import_module(PACKAGES[kind])
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def load(kind: str, name: str) -> Any:
    """The `plugin` named `name`. Raises UsageError with the nearest names if there is none."""
    if name not in names(kind):
        what = kind.removesuffix("s").replace("_", " ")
        raise UsageError(f"There is no {what} called '{name}'. {nearest(name, names(kind))}")
    return importlib.import_module(f"{PACKAGES[kind]}.{name.replace('-', '_')}").plugin


def encoder_family(name: str) -> Any:
    """The encoder plugin that knows an `--encoder` value. Raises UsageError if none does."""
    return _family("encoders", name, "Or ViT-B-32/openai as open_clip names them, or timm/resnet50.")


def trunk_family(name: str) -> Any:
    """The trunk plugin that knows a `trunk` setting. Raises UsageError if none does."""
    return _family("trunks", name, "Or a timm architecture such as resnet18.")


def _family(kind: str, name: str, otherwise: str) -> Any:
    for family in names(kind):
        plugin = load(kind, family)
        if plugin.knows(name):
            return plugin
    raise UsageError(
        f"No {kind.removesuffix('s')} is called '{name}'. {nearest(name, names(kind))} "
        f"{otherwise} `fercache list {kind}` shows all."
    )
