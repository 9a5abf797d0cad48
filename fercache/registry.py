"""All plugins by name: a file in datasets/, detectors/, encoders/, heads/, trunks/, adaptations/ or reporting/sections/
registers itself.

`my_head.py` is `my-head` on the command line; the module defines its plugin as `plugin`. Plugins from outside
(`plugins.py`) are listed beside the built-in ones; if names clash, the built-in plugin is used.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from fercache.errors import UsageError, nearest
from fercache.plugins import CONTRACTS, Origin, Outside, check_kind, from_outside
from fercache.policies import UNGUARDED

PACKAGES = {kind: package for kind, (package, _) in CONTRACTS.items()}
KINDS = tuple(PACKAGES)


@cache
def own_names(kind: str) -> tuple[str, ...]:
    """The sorted names of the built-in plugins of one of `KINDS`; imports none of them, and not their package."""
    package = importlib.util.find_spec(PACKAGES[kind])
    places = package.submodule_search_locations if package else None
    found = (module.name for module in pkgutil.iter_modules(places))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def names(kind: str) -> tuple[str, ...]:
    """The sorted names of all plugins of one of `KINDS`; imports no built-in one. Raises UsageError for broken ones."""
    return tuple(sorted((*own_names(kind), *_outside(kind))))


def load(kind: str, name: str) -> Any:
    """The plugin `name`. Raises UsageError, with the nearest known name, if there is none."""
    outside = _outside(kind)
    if name in own_names(kind):
        return importlib.import_module(f"{PACKAGES[kind]}.{name.replace('-', '_')}").plugin
    if name in outside:
        return check_kind(outside[name], kind)
    own = "To use your own images: folder:NAME or manifest:NAME, or" if kind == "datasets" else "To use your own:"
    raise UsageError(f"There is no {_singular(kind)} '{name}'. {nearest(name, names(kind))} {own} --plugin FILE.")


def origin(kind: str, name: str) -> Origin | None:
    """The origin of the plugin `name`, or of the one that knows this `--encoder` or `trunk`; None if built in."""
    outside = _outside(kind)
    if outside and kind in ("encoders", "trunks") and name not in names(kind):
        name = _family_name(kind, name) or name
    return outside[name].origin if name in outside else None


def encoder_family(name: str) -> Any:
    """The encoder plugin that knows an `--encoder` value. Raises UsageError if none does."""
    return _family("encoders", name, "Or an open_clip name such as ViT-B-32/openai, or timm/resnet50.")


def trunk_family(name: str) -> Any:
    """The trunk plugin that knows a `trunk` setting. Raises UsageError if none does."""
    return _family("trunks", name, "Or a timm backbone such as resnet18.")


def adaptation(name: str) -> Any:
    """The adaptation `name`, UNGUARDED or not. Raises UsageError for an unknown one."""
    return load("adaptations", name.removesuffix(UNGUARDED))


def _family(kind: str, name: str, otherwise: str) -> Any:
    if family := _family_name(kind, name):
        return load(kind, family)
    raise UsageError(
        f"There is no {_singular(kind)} '{name}'. {nearest(name, names(kind))} {otherwise} "
        f"`fercache list {kind}` shows all. To use your own: --plugin FILE."
    )


def _family_name(kind: str, name: str) -> str | None:
    """The plugin that knows a name; built-in ones first."""
    families = (*own_names(kind), *_outside(kind))
    return next((family for family in families if load(kind, family).knows(name)), None)


def _outside(kind: str) -> Mapping[str, Outside]:
    return _without_clashes(kind, tuple(from_outside(kind)))


@cache
def _without_clashes(kind: str, plugins: tuple[Outside, ...]) -> dict[str, Outside]:
    """The plugins by name. Of two with the same name the first is used, built-in ones first, with a warning."""
    found: dict[str, Outside] = {}
    for plugin in plugins:
        name = plugin.name
        if name not in own_names(kind) and name not in found:
            found[name] = plugin
            continue
        used = found[name].source if name in found else f"the built-in one ({PACKAGES[kind]})"
        print(
            f"warning: two {_singular(kind)}s have the name '{name}': {used} is used, {plugin.source} is not. "
            "Rename the latter.",
            file=sys.stderr,
        )
    return found


def _singular(kind: str) -> str:
    return kind.removesuffix("s").replace("_", " ")
