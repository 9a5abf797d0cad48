"""What there is: a file in datasets/, encoders/, heads/, trunks/ or reporting/sections/ registers itself.

`my_head.py` is `my-head` on the command line; the module says what it offers by the name `plugin`. Plugins from outside
of the package (`plugins.py`) stand beside ours; where they have the name of one of ours, ours is taken.
"""

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from fercache.errors import UsageError, nearest
from fercache.plugins import CONTRACTS, Origin, Outside, check_kind, from_outside

PACKAGES = {kind: package for kind, (package, _) in CONTRACTS.items()}
KINDS = tuple(PACKAGES)


@cache
def own_names(kind: str) -> tuple[str, ...]:
    """The names of the package's own plugins of one of `KINDS`, sorted; imports none of them."""
    package = importlib.import_module(PACKAGES[kind])
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def names(kind: str) -> tuple[str, ...]:
    """All registered names of one of `KINDS`, sorted; imports none of ours. Raises UsageError for a broken plugin."""
    return tuple(sorted((*own_names(kind), *_outside(kind))))


def load(kind: str, name: str) -> Any:
    """The `plugin` that is called `name`. Raises UsageError, naming the nearest, when there is none."""
    outside = _outside(kind)
    if name in own_names(kind):
        return importlib.import_module(f"{PACKAGES[kind]}.{name.replace('-', '_')}").plugin
    if name in outside:
        return check_kind(outside[name], kind)
    raise UsageError(
        f"There is no {_called(kind)} called '{name}'. {nearest(name, names(kind))} For one of your own: --plugin FILE."
    )


def origin(kind: str, name: str) -> Origin | None:
    """Where the plugin from outside comes from that is called `name`, or knows that `--encoder` or `trunk`.

    None for one of ours.
    """
    outside = _outside(kind)
    if outside and kind in ("encoders", "trunks") and name not in names(kind):
        name = _family_name(kind, name) or name
    return outside[name].origin if name in outside else None


def encoder_family(name: str) -> Any:
    """The encoder plugin that knows an `--encoder` value. Raises UsageError if none does."""
    return _family("encoders", name, "Or ViT-B-32/openai as open_clip names them, or timm/resnet50.")


def trunk_family(name: str) -> Any:
    """The trunk plugin that knows a `trunk` setting. Raises UsageError if none does."""
    return _family("trunks", name, "Or a timm architecture such as resnet18.")


def _family(kind: str, name: str, otherwise: str) -> Any:
    if family := _family_name(kind, name):
        return load(kind, family)
    raise UsageError(
        f"No {_called(kind)} is called '{name}'. {nearest(name, names(kind))} {otherwise} "
        f"`fercache list {kind}` shows all. For one of your own: --plugin FILE."
    )


def _family_name(kind: str, name: str) -> str | None:
    """The plugin that knows a name; ours are asked first."""
    families = (*own_names(kind), *_outside(kind))
    return next((family for family in families if load(kind, family).knows(name)), None)


def _outside(kind: str) -> Mapping[str, Outside]:
    return _without_clashes(kind, tuple(from_outside(kind)))


@cache
def _without_clashes(kind: str, plugins: tuple[Outside, ...]) -> dict[str, Outside]:
    """By name. Of two with one name the first is taken, ours before all; the other is named on standard error."""
    found: dict[str, Outside] = {}
    for plugin in plugins:
        name = plugin.name
        if name not in own_names(kind) and name not in found:
            found[name] = plugin
            continue
        taken = found[name].source if name in found else f"fercache's own ({PACKAGES[kind]})"
        print(
            f"warning: two {_called(kind)}s are called '{name}': {taken} is taken, and {plugin.source} is not. "
            "Rename that one.",
            file=sys.stderr,
        )
    return found


def _called(kind: str) -> str:
    return kind.removesuffix("s").replace("_", " ")
