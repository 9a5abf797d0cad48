"""Ways in which an edited, truncated or invented file differs from one that we wrote."""

import copy
import json
import random
from typing import Any

HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 7, 10**6, -(10**20), 10**400, 0.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", " ", "2", "x", "joy", "a/b", "../..", "~nobody/x", "\0", "\n", "=1+1", "é" * 300, "n" * 10_000),
    *("\ud800", "synthetic:studio", "linear-probe", "0-2000000000", "reference://x", "NaN"),
    *([], {}, [[]], [None], [0] * 500, {"": None}, {"a": {"b": {"c": []}}}, ["x", 1, None, {}]),
]
DEEP = 3_000


def corrupted_tree(tree: Any, chance: random.Random) -> Any:
    """`tree`, of dictionaries and lists, with one to three of its parts replaced, removed, renamed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        parent, key = _some_place(tree, chance)
        if parent is None:
            return chance.choice(HOSTILE)
        how = chance.random()
        if how < 0.6:
            parent[key] = copy.deepcopy(chance.choice(HOSTILE))
        elif how < 0.75:
            del parent[key]
        elif how < 0.85 and isinstance(parent, dict):
            parent[chance.choice(("", "x", "\ud800", str(key) + "s", "__class__"))] = parent.pop(key)
        elif how < 0.95:
            parent[key] = [copy.deepcopy(parent[key])] * chance.choice((1, 2, 50))
        else:
            parent[key] = _DEEP_MARK
    return tree


def corrupted_bytes(data: bytes, chance: random.Random) -> bytes:
    """`data` cut, or with some bytes changed, doubled, removed or put in."""
    how, at = chance.random(), chance.randrange(len(data) + 1)
    if how < 0.25:
        return data[:at]
    if how < 0.6:
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(changed)
    if how < 0.8:
        return (
            data[:at] + chance.choice((b"\0", b"\xff\xfe", b"[" * 5_000, b'"', b"\n", chance.randbytes(9))) + data[at:]
        )
    end = min(len(data), at + chance.randrange(40))
    return data[:at] + data[end:] if how < 0.9 else data[:end] + data[at:]


def as_json(tree: Any) -> bytes:
    """Also of what is no JSON, as other writers make it."""
    text = json.dumps(tree, default=str).replace(f'"{_DEEP_MARK}"', "[" * DEEP + "]" * DEEP)
    return text.encode("utf-8", "surrogatepass")


def as_toml(tree: Any) -> bytes:
    """A table, with everything below it inline."""
    if not isinstance(tree, dict):
        return _inline(tree).encode("utf-8", "surrogatepass")
    text = "".join(f"{json.dumps(str(key))} = {_inline(value)}\n" for key, value in tree.items())
    return text.replace(f'"{_DEEP_MARK}"', "[" * DEEP + "]" * DEEP).encode("utf-8", "surrogatepass")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps("" if value is None else value, ensure_ascii=False)


_DEEP_MARK = "nested deeply"


def _some_place(tree: Any, chance: random.Random) -> tuple[Any, Any]:
    places = list(_places(tree))
    return chance.choice(places) if places else (None, None)


def _places(tree: Any) -> Any:
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])
